"""Who may use a route: every route declares one policy, and a route without one cannot be made."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from marketplace.actor import Actor, OrganisationKind, Role, Scope
from marketplace.errors import Refused, Unauthenticated

COOKIE: Final = "session"
"""The cookie that carries a person's session token."""

_TOKEN_LENGTH_MAX: Final = 512
"""Far longer than any token of ours."""

_OPERATOR = frozenset({Role.OPERATOR_ADMIN, Role.OPERATOR_FINANCE, Role.OPERATOR_COMPLIANCE})


class NotSignedIn(Unauthenticated):
    """No credential came with the request, or it is no longer good."""

    code = "not_signed_in"

    def __init__(self) -> None:
        super().__init__("Sign in first, or send a valid key: `Authorization: Bearer …`.")


class RoleMissing(Refused):
    """The actor has none of the roles that may do this."""

    code = "role_missing"

    def __init__(self, roles: list[str]) -> None:
        super().__init__("This needs one of the roles: " + ", ".join(roles) + ".", allowed=roles)


class ScopeMissing(Refused):
    """The API key was not made for this."""

    code = "scope_missing"

    def __init__(self, scope: Scope) -> None:
        super().__init__(f"This key does not have the scope {scope.value!r}.", allowed=[scope.value])


class CrossSite(Refused):
    """A page of another site sent a request with this person's cookie."""

    code = "cross_site"

    def __init__(self) -> None:
        super().__init__("The request came from another site; nothing was done.")


def credential(
    *,
    authorization: str,
    cookie: str,
    safe: bool,
    origin: str | None,
    fetch_site: str | None,
    homes: Collection[str],
) -> str:
    """Return the token that a request carries, the header before the cookie; empty when none can be one of ours.

    A cookie changes something only when the request comes from a page of ours (`homes` are our origins); otherwise
    `CrossSite` is raised.
    """
    if authorization[:7].lower() == "bearer ":
        token = authorization[7:].strip()
    else:
        token = cookie
        ours = origin in homes if origin is not None else (fetch_site or "same-origin") in {"same-origin", "none"}
        if token and not safe and not ours:
            raise CrossSite
    return token if token.isascii() and len(token) <= _TOKEN_LENGTH_MAX else ""


@dataclass(frozen=True, slots=True)
class Policy:
    """`roles` None means anybody signed in; `open_to_all` means nobody needs to be."""

    roles: frozenset[Role] | None
    scope: Scope | None = None
    open_to_all: bool = False

    def admit(self, actor: Actor | None, *, reading: bool) -> Actor | None:
        """Return the actor when it may pass; raise `NotSignedIn`, `RoleMissing` or `ScopeMissing`."""
        if self.open_to_all:
            return actor
        if actor is None:
            raise NotSignedIn
        if self.roles is not None and not self.roles & actor.roles:
            raise RoleMissing(sorted(self.roles))
        scope = self.scope or (Scope.READ if reading else Scope.WRITE)
        if scope not in actor.scopes:
            raise ScopeMissing(scope)
        if not reading and actor.organisation_kind is OrganisationKind.AUDITOR and self.roles is not None:
            raise RoleMissing(sorted(self.roles - {Role.AUDITOR}))
        return actor


def public() -> Policy:
    """Anybody, signed in or not."""
    return Policy(roles=None, open_to_all=True)


def signed_in(*, scope: Scope | None = None) -> Policy:
    """Anybody with a credential; the service decides what of it the actor may see."""
    return Policy(roles=None, scope=scope)


def allow(*roles: Role, scope: Scope | None = None) -> Policy:
    """Only these roles."""
    return Policy(roles=frozenset(roles), scope=scope)


def reads(*roles: Role) -> Policy:
    """These roles, every operator role and the auditor; for routes that change nothing."""
    return Policy(roles=frozenset(roles) | _OPERATOR | {Role.AUDITOR}, scope=Scope.READ)
