"""Payment notices: what is asked of whom, until when, and how much of it has come. Pure.

A notice asks for a deposit, the balance of a deal, or an instalment of it. What has come is never written on it: it is
derived from what its subject has received, the earliest instalment first, so that a match taken back is taken back
here too. A cent tail (唯一尾数) makes the amount itself say which notice is paid: 1 to 99 minor units above what is
asked, unlike the amount of every other notice of the same account.
"""

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from marketplace.errors import Conflict, Invalid
from marketplace.money import Money

MAX_TAIL: Final = 99
"""Minor units that a tail adds at most."""

RESTING_DAYS: Final = 30
"""Days after its expiry in which the amount of a notice is not given out again: late wires stay unmistakable."""

DUE_DAYS: Final = 10
"""Days in which a deposit is due unless the notice says otherwise (K: configurable practice)."""

GRACE_DAYS: Final = 30
"""Days after it is due in which the reference of a notice still decides by itself, unless it says otherwise."""

MAX_INSTALMENTS: Final = 60


class NoticePurpose(enum.StrEnum):
    """What a notice asks for."""

    DEPOSIT = "deposit"
    BALANCE = "balance"
    INSTALMENT = "instalment"


class NoticeStatus(enum.StrEnum):
    """Where a notice stands on a day. Derived, never stored."""

    OPEN = "open"
    PART_PAID = "part_paid"
    OVERDUE = "overdue"
    PAID = "paid"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class NoFreeTail(Conflict):
    """Every amount with a tail is asked for by another notice of the account."""

    code = "no_free_tail"

    def __init__(self) -> None:
        super().__init__(
            f"All {MAX_TAIL} cent tails of this amount are in use on this account; send the notice without one."
        )


class PlanInvalid(Invalid):
    """The instalments are not those of the balance."""

    code = "plan_invalid"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


class NothingDue(Conflict):
    """There is nothing to ask for."""

    code = "nothing_due"

    def __init__(self) -> None:
        super().__init__("Nothing is due any more, so there is nothing to ask for.")


class NoticeCancelled(Conflict):
    """The notice was cancelled already."""

    code = "notice_cancelled"

    def __init__(self) -> None:
        super().__init__("This notice was cancelled already.")


class DatesInvalid(Invalid):
    """A notice is due today or later and expires no earlier than it is due."""

    code = "notice_dates_invalid"

    def __init__(self, due_on: date, expires_on: date, today: date) -> None:
        super().__init__(
            f"A notice is due today ({today.isoformat()}) or later and expires on that day or after it; "
            f"given: due {due_on.isoformat()}, expires {expires_on.isoformat()}."
        )


@dataclass(frozen=True, slots=True)
class Named:
    """What the reference of a notice stands for, and until which day (of the bank's booking) it decides by itself.

    None: the notice was cancelled and nothing took its place.
    """

    subject: str
    until: date | None


@dataclass(frozen=True, slots=True)
class Instalment:
    """A part of a balance and the day until which it is to be paid."""

    amount: Money
    due_on: date


def free_tail(asked_minor: int, taken: Collection[int]) -> int:
    """Return the smallest tail whose amount is not `taken` (minor units); raise `NoFreeTail`."""
    for tail in range(1, MAX_TAIL + 1):
        if asked_minor + tail not in taken:
            return tail
    raise NoFreeTail


def check_dates(*, due_on: date, expires_on: date, today: date) -> None:
    """Refuse a notice that is late before it is sent (`DatesInvalid`)."""
    if not today <= due_on <= expires_on:
        raise DatesInvalid(due_on, expires_on, today)


def check_plan(parts: Sequence[Instalment], *, due: Money) -> None:
    """Refuse instalments that are not the whole balance, once, in order of their days (`PlanInvalid`)."""
    if not 1 <= len(parts) <= MAX_INSTALMENTS:
        raise PlanInvalid(f"A balance is paid in 1 to {MAX_INSTALMENTS} parts.")
    if any(part.amount.currency != due.currency or part.amount.minor <= 0 for part in parts):
        raise PlanInvalid(f"Every part is an amount above zero in {due.currency}.")
    total = sum(part.amount.minor for part in parts)
    if total != due.minor:
        raise PlanInvalid(f"The parts add up to {Money(total, due.currency)}, due are {due}.")
    days = [part.due_on for part in parts]
    if days != sorted(set(days)):
        raise PlanInvalid("Each part is due on a later day than the one before.")


def fill(asked: Sequence[int], received_minor: int) -> list[int]:
    """Return what each notice of a plan has received, the first before the second, never more than it asks."""
    rest, filled = max(received_minor, 0), []
    for amount in asked:
        filled.append(min(amount, rest))
        rest -= filled[-1]
    return filled


def status(
    *, asked_minor: int, received_minor: int, tolerated_minor: int, due_on: date, expires_on: date, cancelled: bool,
    on: date,
) -> NoticeStatus:  # fmt: skip
    """Say where a notice stands on a day. `tolerated_minor`: as much may be missing (policy); none for deposits."""
    if received_minor + tolerated_minor >= asked_minor:
        return NoticeStatus.PAID
    if cancelled:
        return NoticeStatus.CANCELLED
    if on > expires_on:
        return NoticeStatus.EXPIRED
    if on > due_on:
        return NoticeStatus.OVERDUE
    return NoticeStatus.PART_PAID if received_minor else NoticeStatus.OPEN


def subjects(references: Sequence[str], notices: Mapping[str, Named], *, on: date) -> list[str]:
    """Return references with those of notices that hold on a day replaced by what they stand for, each once."""
    meant: dict[str, None] = {}
    for reference in references:
        named = notices.get(reference)
        holds = named is not None and named.until is not None and on <= named.until
        meant[named.subject if named is not None and holds else reference] = None
    return list(meant)
