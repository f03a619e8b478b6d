"""What follows the hammer: the terms of an award, its deadlines, and what the clock has decided.

Deadlines are working days of the market's calendar counted from the day on which the award came into force; a
deadline is the end of its last day. Prolongations count from that day too (Prozorro.Sale's code, P: 20, then 42,
then 132 working days from the start of the signing period). Overdue is computed, never stored.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from auctions.domain import calendars
from auctions.domain.lifecycles import AwardState

MAX_PROLONGATIONS: Final = 2
"""At most two prolongations of a contract's deadline (rules.md, Auctions: awarding)."""


class FailureCause(enum.StrEnum):
    """Why an award failed. Only the first is a default of the bidder; it bars it from the re-auction."""

    BUYER_DEFAULTED = "buyer_defaulted"
    SELLER_DECLINED = "seller_declined"
    NOT_ELIGIBLE = "not_eligible"
    DEADLINE_PASSED = "deadline_passed"


class Step(enum.StrEnum):
    """What an award in force waits for."""

    PROTOCOL = "protocol"
    CONTRACT = "contract"


@dataclass(frozen=True, slots=True)
class AwardTerms:
    """How a market goes from the hammer to the contract. Days are working days; None: no such deadline.

    `protocol_required` without days waits for the seller without end. `fails_when_overdue` and
    `promotes_next`: whether the clock's verdict and the next in line's turn follow without a person asking.
    """

    regime: str = "plain"
    calendar: str = "cn"
    zone: str = "Asia/Shanghai"
    protocol_required: bool = False
    protocol_days: int | None = None
    contract_days: int | None = None
    prolongation_days: tuple[int, ...] = ()
    fails_when_overdue: bool = False
    promotes_next: bool = False

    def __post_init__(self) -> None:
        if len(self.prolongation_days) > MAX_PROLONGATIONS:
            raise ValueError("at most two prolongations")
        ladder = (self.contract_days or 0, *self.prolongation_days)
        if list(ladder) != sorted(set(ladder)) or (self.prolongation_days and self.contract_days is None):
            raise ValueError("each prolongation is later than the deadline before it")

    def document(self) -> dict[str, Any]:
        """Return the terms as an award keeps them."""
        names = self.__dataclass_fields__
        return {name: getattr(self, name) for name in names} | {"prolongation_days": list(self.prolongation_days)}

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "AwardTerms":
        """Return the terms that `document` made."""
        return cls(**{**document, "prolongation_days": tuple(document["prolongation_days"])})


@dataclass(frozen=True, slots=True)
class Deadlines:
    """By when the protocol and the contract are due; None: no such deadline."""

    protocol: datetime | None
    contract: datetime | None


def deadlines(terms: AwardTerms, *, since: datetime) -> Deadlines:
    """Return the deadlines of an award that came into force at `since`; raise `YearNotInCalendar`."""
    return Deadlines(
        protocol=None if terms.protocol_days is None else _after(terms, since, terms.protocol_days),
        contract=None if terms.contract_days is None else _after(terms, since, terms.contract_days),
    )


def prolonged(terms: AwardTerms, *, number: int, since: datetime) -> datetime | None:
    """Return the contract's deadline after prolongation `number` (from 1), None when the terms have none such.

    Raises `YearNotInCalendar`.
    """
    if not 1 <= number <= len(terms.prolongation_days):
        return None
    return _after(terms, since, terms.prolongation_days[number - 1])


def _after(terms: AwardTerms, since: datetime, working_days: int) -> datetime:
    return calendars.deadline(since, working_days=working_days, calendar_name=terms.calendar, zone=terms.zone)


def waits_for(terms: AwardTerms, state: AwardState) -> Step | None:
    """Return what an award waits for in a state, None when for nothing that a deadline could be put on."""
    if state is AwardState.PENDING and terms.protocol_required:
        return Step.PROTOCOL
    return Step.CONTRACT if state in {AwardState.PENDING, AwardState.PROTOCOL_CONFIRMED} else None


def overdue(terms: AwardTerms, state: AwardState, due: Deadlines, *, at: datetime) -> Step | None:
    """Return the step whose deadline has passed at `at` (`at >= deadline`), None when there is none."""
    step = waits_for(terms, state)
    if step is None:
        return None
    limits = [due.contract] if step is Step.CONTRACT else [due.protocol, due.contract]
    return step if any(limit is not None and at >= limit for limit in limits) else None
