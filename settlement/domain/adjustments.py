"""What changes between buyer and seller after a closing, case by case, and the one register that both statements read.

Pure. Amounts are signed minor units: above zero the seller owes the buyer, below zero the buyer owes the seller. A case
never gives back more than its price, and once it went back nothing more happens to it.
"""

import enum
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from marketplace.errors import Conflict, Invalid, NotFound, Refused
from marketplace.lifecycle import Lifecycle
from marketplace.money import Money, share_out
from settlement.domain.instalments import share_out_capped


class AdjustmentKind(enum.StrEnum):
    """Why money moves after the closing."""

    COLLECTIONS = "collections"
    PRICE = "price"
    REMOVAL = "removal"
    REPURCHASE = "repurchase"


RETURNS: Final = frozenset({AdjustmentKind.REMOVAL, AdjustmentKind.REPURCHASE})
"""Kinds by which whole cases go back to the seller."""


class AdjustmentState(enum.StrEnum):
    """Where an adjustment stands; `settled` is paid in full, `cancelled` went with its deal."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    SETTLED = "settled"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


ADJUSTMENT: Final = Lifecycle(
    "adjustment",
    AdjustmentState.PROPOSED,
    (
        (AdjustmentState.PROPOSED, "approve", AdjustmentState.APPROVED),
        (AdjustmentState.PROPOSED, "reject", AdjustmentState.REJECTED),
        (AdjustmentState.APPROVED, "settle", AdjustmentState.SETTLED),
        (AdjustmentState.PROPOSED, "cancel", AdjustmentState.CANCELLED),
        (AdjustmentState.SETTLED, "cancel", AdjustmentState.CANCELLED),
    ),
)

REGISTERED: Final = frozenset({AdjustmentState.APPROVED, AdjustmentState.SETTLED})
"""States in which an adjustment stands on both statements."""


class AdjustmentNotFound(NotFound):
    """There is no such adjustment, or its deal is not the actor's."""

    def __init__(self, adjustment_id: uuid.UUID) -> None:
        super().__init__("adjustment", adjustment_id)


class DecidedByPerson(Refused):
    """Money after a closing is moved by people, never by keys."""

    code = "person_needed"

    def __init__(self) -> None:
        super().__init__("This is proposed and approved by persons who signed in, not by an API key.")


class SamePersonDecides(Refused):
    """Whoever proposes does not approve."""

    code = "same_person"

    def __init__(self) -> None:
        super().__init__("This is approved by another person than the one who proposed it.")


class UnknownCase(Invalid):
    """A case that is no part of the deal, or is named twice."""

    code = "unknown_case"

    def __init__(self, key: str) -> None:
        super().__init__(f"{key[:60]!r} is not a case of this deal, or is named twice.", case=key[:60])


class CaseReturned(Conflict):
    """The case went back to the seller; nothing more happens to it."""

    code = "case_returned"

    def __init__(self, key: str) -> None:
        super().__init__(f"The case {key[:60]!r} went back to the seller already.", case=key[:60])


class AdjustmentEmpty(Invalid):
    """The adjustment would move nothing, or more than the cases cost."""

    code = "adjustment_out_of_bounds"

    def __init__(self, allowed: str) -> None:
        super().__init__(f"The adjustment moves nothing or too much; allowed: {allowed}.", allowed=allowed)


class NetsTooMuch(Conflict):
    """Collections of nothing, of more than is due, or of more than the seller is paid at once of the price."""

    code = "nets_too_much"

    def __init__(self, allowed: Money) -> None:
        super().__init__(
            f"Collections above zero and of at most {allowed} can be set off against the balance now.",
            allowed=allowed.text,
        )


class WarrantyOver(Conflict):
    """The time in which cases can be sold back is over, or was never agreed."""

    code = "warranty_over"

    def __init__(self, until: date | None) -> None:
        end = until.isoformat() if until is not None else "not agreed"
        super().__init__(f"Cases can be sold back under the warranty until: {end}.", until=end)


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a case stands: the price paid for it and what of it went back already, minor units; `out`: sent back."""

    key: str
    price: int
    returned: int = 0
    out: bool = False

    @property
    def left(self) -> int:
        """What the buyer has still paid for the case."""
        return self.price - self.returned


def of_collections(stands: Mapping[str, Stand], amounts: Mapping[str, int]) -> dict[str, int]:
    """Return what the seller hands over for each case it collected on after the cut-off; reversals are below zero.

    Raises `UnknownCase`, `CaseReturned`, `AdjustmentEmpty` when they add up to nothing.
    """
    for key in amounts:
        _standing(stands, key)
    if not sum(amounts.values()):
        raise AdjustmentEmpty("collections that do not add up to zero")
    return dict(amounts)


def of_price(stands: Mapping[str, Stand], amount: int) -> dict[str, int]:
    """Share a price adjustment among the cases still sold, in proportion to their prices.

    Downwards no case gives back more than is left of its price; what is above that is shared by the others.
    """
    standing = [one for one in stands.values() if not one.out]
    left = sum(max(one.left, 0) for one in standing)
    if not amount or amount > left or not any(one.price for one in standing):
        raise AdjustmentEmpty(f"at most {left} minor units back, and not zero")
    keys, weights = [one.key for one in standing], [one.price for one in standing]
    if amount < 0:
        parts = [-part for part in share_out(-amount, weights, keys)]
    else:
        parts = share_out_capped(amount, weights, [one.left for one in standing], keys)
    return {key: part for key, part in zip(keys, parts, strict=True) if part}


def of_return(stands: Mapping[str, Stand], keys: Sequence[str], collected: Mapping[str, int]) -> dict[str, int]:
    """Return the price that goes back for cases that go back: what is left of it, less what the buyer collected.

    Raises `UnknownCase` (also for a case named twice, or collected on without going back), `CaseReturned`,
    `AdjustmentEmpty` when nothing would go back, or less than nothing was collected.
    """
    if len(set(keys)) != len(keys):
        raise UnknownCase(next(key for place, key in enumerate(keys) if key in keys[:place]))
    if strange := sorted(set(collected) - set(keys)):
        raise UnknownCase(strange[0])
    if any(amount < 0 for amount in collected.values()):
        raise AdjustmentEmpty("collections of the buyer that are not below zero")
    parts = {key: max(_standing(stands, key).left - collected.get(key, 0), 0) for key in keys}
    if not any(parts.values()):
        raise AdjustmentEmpty("cases of which something is left of the price")
    return parts


def _standing(stands: Mapping[str, Stand], key: str) -> Stand:
    stand = stands.get(key)
    if stand is None:
        raise UnknownCase(key)
    if stand.out:
        raise CaseReturned(key)
    return stand


def check_warranty(*, sold_on: date | None, days: int, on: date) -> None:
    """Refuse a repurchase after the warranty; the last day counts. Raises `WarrantyOver`."""
    until = sold_on + timedelta(days=days) if sold_on is not None and days else None
    if until is None or on > until:
        raise WarrantyOver(until)


def check_persons(*, proposed_by_id: uuid.UUID, decided_by_id: uuid.UUID | None) -> None:
    """Refuse a decision by the proposer (`SamePersonDecides`) or by no person (`DecidedByPerson`)."""
    if decided_by_id is None:
        raise DecidedByPerson
    if decided_by_id == proposed_by_id:
        raise SamePersonDecides


@dataclass(frozen=True, slots=True)
class Item:
    """One adjustment of the register. `covered`: how much of it has been paid, of the same sign as `amount`."""

    id: uuid.UUID
    kind: AdjustmentKind
    on: date
    amount: int
    covered: int


@dataclass(frozen=True, slots=True)
class TrueUp:
    """The register as one side sees it: above zero is owed to that side. total = paid + open; items add up to total."""

    items: tuple[Item, ...]
    total: int
    paid: int

    @property
    def open(self) -> int:
        """What is still to be paid to that side (below zero: by it)."""
        return self.total - self.paid


def true_up(register: Sequence[Item], *, for_buyer: bool) -> TrueUp:
    """Return the statement of one side; that of the other is the same with every sign turned round."""
    sign = 1 if for_buyer else -1
    items = tuple(Item(one.id, one.kind, one.on, sign * one.amount, sign * one.covered) for one in register)
    return TrueUp(items, sum(one.amount for one in items), sum(one.covered for one in items))
