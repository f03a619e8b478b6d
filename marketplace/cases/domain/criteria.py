"""Which cases: the filter by which a package is bundled and a list is cut. Every bound is inclusive."""

import dataclasses
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marketplace.cases.domain.case import CustomerType, Grade, Litigation, Security
from marketplace.errors import Invalid


class CriteriaContradict(Invalid):
    """No case can fit: a lower bound lies above its upper bound."""

    code = "criteria_contradict"

    def __init__(self, name: str) -> None:
        super().__init__(f"The lower bound of {name} lies above the upper one.", found=name)


@dataclass(frozen=True, slots=True)
class Criteria:
    """Everything given must hold; an empty list and None mean: any. Amounts are principal + interest in minor units."""

    days_past_due_min: int | None = None
    days_past_due_max: int | None = None
    amount_min: int | None = None
    amount_max: int | None = None
    products: tuple[str, ...] = ()
    securities: tuple[Security, ...] = ()
    litigations: tuple[Litigation, ...] = ()
    grades: tuple[Grade, ...] = ()
    provinces: tuple[str, ...] = ()
    customer_type: CustomerType | None = None
    written_off: bool | None = None
    tape_id: uuid.UUID | None = None

    def check(self) -> None:
        """Raise `CriteriaContradict`."""
        for name in ("days_past_due", "amount"):
            low, high = getattr(self, f"{name}_min"), getattr(self, f"{name}_max")
            if low is not None and high is not None and low > high:
                raise CriteriaContradict(name)

    def document(self) -> dict[str, Any]:
        """Return what is given, as plain JSON."""
        shown: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is None or value == ():
                continue
            shown[field.name] = (
                list(value) if isinstance(value, tuple) else str(value) if isinstance(value, uuid.UUID) else value
            )
        return shown

    @classmethod
    def of_document(cls, stored: Mapping[str, Any]) -> "Criteria":
        """Read back what `document` wrote."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
        }
        if "tape_id" in values:
            values["tape_id"] = uuid.UUID(values["tape_id"])
        return cls(**values)
