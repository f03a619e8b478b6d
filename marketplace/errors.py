"""The five kinds of anticipated failure; every package names its own facts as subclasses.

A failure carries a stable `code`, one sentence that says what to do, and the values involved. `marketplace.http` maps
them once to RFC 9457 problem documents. Anything else that escapes is a bug.
"""

from typing import Any, ClassVar


class Failure(Exception):
    """An anticipated failure. `detail` is for people, `code` for programs, `values` for both."""

    status: ClassVar[int]
    code: ClassVar[str]

    def __init__(self, detail: str, *, errors: list[dict[str, Any]] | None = None, **values: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors or []
        self.values = values


class Invalid(Failure):
    """What was sent cannot be right, whatever the state of the world (422)."""

    status = 422
    code = "invalid"


class Unauthenticated(Failure):
    """Nobody is signed in, or the credential is no longer good (401)."""

    status = 401
    code = "unauthenticated"


class Refused(Failure):
    """This actor may not do this (403)."""

    status = 403
    code = "refused"


class NotFound(Failure):
    """There is no such thing, or the actor may not see it (404)."""

    status = 404
    code = "not_found"

    def __init__(self, noun: str, key: object) -> None:
        super().__init__(f"There is no {noun} {str(key)[:80]!r} that you can see.")


class Conflict(Failure):
    """The state of the world does not allow it now (409)."""

    status = 409
    code = "conflict"


class TooMany(Failure):
    """Asked too often (429)."""

    status = 429
    code = "too_many_requests"


class Unavailable(Failure):
    """A part that is needed does not answer (503)."""

    status = 503
    code = "unavailable"
