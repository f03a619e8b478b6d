"""What a verification says: findings, each naming the member in which something is wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: in which member, a stable code, and a sentence."""

    member: str
    code: str
    detail: str

    @property
    def document(self) -> dict[str, Any]:
        """The finding as JSON."""
        return {"member": self.member, "code": self.code, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Contents:
    """The members of a bundle as JSON values, the keys that its reader trusts, and a count of what was checked."""

    values: Mapping[str, Any]
    published: Sequence[Mapping[str, Any]] | None
    checked: dict[str, int]

    def __getitem__(self, member: str) -> Any:
        """Return a member's value; `sealed.json` and `solver.json` are None where the format has none."""
        return self.values.get(member)

    def count(self, what: str, number: int = 1) -> None:
        """Note that so many were looked at."""
        self.checked[what] = self.checked.get(what, 0) + number


class Unreadable(Exception):
    """A member does not hold what every bundle's does."""

    def __init__(self, member: str, detail: str) -> None:
        super().__init__(detail)
        self.member = member
        self.detail = detail
