"""Who is acting: the answer of authentication, handed explicitly to every service function."""

import enum
import uuid
from dataclasses import dataclass
from typing import Final


class OrganisationKind(enum.StrEnum):
    """What an organisation is in the market."""

    OPERATOR = "operator"
    SELLER = "seller"
    BUYER = "buyer"
    VALUER = "valuer"
    AUDITOR = "auditor"


class Role(enum.StrEnum):
    """What a user may do inside its organisation."""

    SELLER_MANAGER = "seller_manager"
    SELLER_AGENT = "seller_agent"
    BUYER_BIDDER = "buyer_bidder"
    BUYER_ANALYST = "buyer_analyst"
    VALUER_APPRAISER = "valuer_appraiser"
    OPERATOR_ADMIN = "operator_admin"
    OPERATOR_FINANCE = "operator_finance"
    OPERATOR_COMPLIANCE = "operator_compliance"
    AUDITOR = "auditor"


class Scope(enum.StrEnum):
    """What an API key may be used for; a session has all of them."""

    READ = "read"
    WRITE = "write"
    BID = "bid"


ROLES: Final = {
    OrganisationKind.OPERATOR: {Role.OPERATOR_ADMIN, Role.OPERATOR_FINANCE, Role.OPERATOR_COMPLIANCE},
    OrganisationKind.SELLER: {Role.SELLER_MANAGER, Role.SELLER_AGENT},
    OrganisationKind.BUYER: {Role.BUYER_BIDDER, Role.BUYER_ANALYST},
    OrganisationKind.VALUER: {Role.VALUER_APPRAISER},
    OrganisationKind.AUDITOR: {Role.AUDITOR},
}
"""The roles that a user of each kind of organisation can have."""


@dataclass(frozen=True, slots=True)
class Actor:
    """A user (or an API key, then `user_id` is None) acting for an organisation."""

    organisation_id: uuid.UUID
    organisation_kind: OrganisationKind
    roles: frozenset[Role]
    name: str
    user_id: uuid.UUID | None = None
    api_key_id: uuid.UUID | None = None
    scopes: frozenset[Scope] = frozenset(Scope)

    @property
    def sees_everything(self) -> bool:
        """Operators and auditors see every tenant's rows."""
        return self.organisation_kind in {OrganisationKind.OPERATOR, OrganisationKind.AUDITOR}


SYSTEM: Final = Actor(
    organisation_id=uuid.UUID(int=0),
    organisation_kind=OrganisationKind.OPERATOR,
    roles=frozenset(),
    name="system",
)
"""The actor of clockwork and subscriptions; no credential maps to it."""
