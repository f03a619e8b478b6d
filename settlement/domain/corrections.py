"""Taking entries back: by a mirror image, once, never by change; above a limit two persons. Pure."""

import enum
import uuid
from typing import Final

from marketplace.errors import Conflict, Refused
from marketplace.lifecycle import Lifecycle


class ReversalState(enum.StrEnum):
    """Where a wish to take an entry back stands."""

    PROPOSED = "proposed"
    POSTED = "posted"
    REJECTED = "rejected"


REVERSAL: Final = Lifecycle(
    "reversal",
    ReversalState.PROPOSED,
    (
        (ReversalState.PROPOSED, "approve", ReversalState.POSTED),
        (ReversalState.PROPOSED, "reject", ReversalState.REJECTED),
    ),
)


class NotByTheProposer(Refused):
    """Whoever wants an entry taken back does not approve it."""

    code = "same_person"

    def __init__(self) -> None:
        super().__init__("A reversal above the limit is approved by another person than the one who proposed it.")


class ReversalByPerson(Refused):
    """Entries are taken back by people, never by keys."""

    code = "person_needed"

    def __init__(self) -> None:
        super().__init__("An entry is taken back by a person who signed in, not by an API key.")


class ReversalUnderWay(Conflict):
    """The entry is to be taken back already."""

    code = "reversal_under_way"

    def __init__(self) -> None:
        super().__init__("There is a reversal of this entry already; approve it or reject it.")


def needs_second_person(amount_minor: int, *, limit_minor: int) -> bool:
    """Say whether an entry with debits of `amount_minor` needs another person; the limit itself does not."""
    return amount_minor > limit_minor


def check_decider(*, proposed_by_id: uuid.UUID, decider_id: uuid.UUID | None) -> None:
    """Refuse an approval by the proposer (`NotByTheProposer`) or by no person (`ReversalByPerson`)."""
    if decider_id is None:
        raise ReversalByPerson
    if decider_id == proposed_by_id:
        raise NotByTheProposer
