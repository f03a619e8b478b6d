"""Correcting the books by hand: taking an entry back by its mirror image, or an entry of one's own. Pure.

Never by change, once for each entry, and above a limit by two persons. Control accounts, which have rows of their own
behind them (deposits, orders, deals, bank lines), are moved only by the deed that keeps those rows, and taken back by
its own verb (cancel, un-match); what is left for hands is `BY_HAND`.
"""

import enum
import uuid
from collections.abc import Sequence
from typing import Final

from marketplace.errors import Conflict, NotFound, Refused
from marketplace.lifecycle import Lifecycle
from settlement.domain.ledger import Line

BY_HAND: Final = frozenset(
    {
        "unexplained", "bank_charges", "card_fees", "chargebacks", "card_clearing", "commission", "vat", "fx_position",
        "fx_result",
    }
)  # fmt: skip
"""Names of the chart that a person may post to. `card_clearing`: card money that Stripe changed, against `fx_position`.
"""


class CorrectionState(enum.StrEnum):
    """Where a correction stands."""

    PROPOSED = "proposed"
    POSTED = "posted"
    REJECTED = "rejected"


CORRECTION: Final = Lifecycle(
    "correction",
    CorrectionState.PROPOSED,
    (
        (CorrectionState.PROPOSED, "approve", CorrectionState.POSTED),
        (CorrectionState.PROPOSED, "reject", CorrectionState.REJECTED),
    ),
)


class NotByTheProposer(Refused):
    """Whoever wants a correction does not approve it."""

    code = "same_person"

    def __init__(self) -> None:
        super().__init__("A correction above the limit is approved by another person than the one who proposed it.")


class CorrectionByPerson(Refused):
    """The books are corrected by people, never by keys."""

    code = "person_needed"

    def __init__(self) -> None:
        super().__init__("The books are corrected by a person who signed in, not by an API key.")


class CorrectionUnderWay(Conflict):
    """The entry is to be taken back already."""

    code = "correction_under_way"

    def __init__(self) -> None:
        super().__init__("There is a correction of this entry already; approve it or reject it.")


class ControlAccount(Conflict):
    """The account has rows behind it that hands would leave behind."""

    code = "control_account"

    def __init__(self, account: str) -> None:
        super().__init__(
            f"{account!r} is kept by the rows behind it: cancel the order, un-match the line, take back the deed.",
            account=account,
            allowed=sorted(BY_HAND),
        )


class CorrectionNotFound(NotFound):
    """There is no such correction."""

    def __init__(self, correction_id: uuid.UUID) -> None:
        super().__init__("correction", correction_id)


def check_by_hand(lines: Sequence[Line]) -> None:
    """Refuse lines on a control account (`ControlAccount`)."""
    for line in lines:
        if line.account.partition(":")[0] not in BY_HAND:
            raise ControlAccount(line.account)


def debits(lines: Sequence[Line]) -> int:
    """Return the sum of the debits in minor units: what an entry is worth."""
    return sum(line.amount_minor for line in lines if line.amount_minor > 0)


def needs_second_person(amount_minor: int, *, limit_minor: int) -> bool:
    """Say whether a correction of `amount_minor` needs another person; the limit itself does not."""
    return amount_minor > limit_minor


def check_decider(*, proposed_by_id: uuid.UUID, decider_id: uuid.UUID | None) -> None:
    """Refuse an approval by the proposer (`NotByTheProposer`) or by no person (`CorrectionByPerson`)."""
    if decider_id is None:
        raise CorrectionByPerson
    if decider_id == proposed_by_id:
        raise NotByTheProposer
