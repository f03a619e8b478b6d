"""What two persons decide about a closing: its terms, and the release of money kept back. Pure."""

import enum
import uuid
from typing import Final

from marketplace.errors import Conflict, NotFound
from marketplace.lifecycle import Lifecycle


class TermsState(enum.StrEnum):
    """Where the terms of a closing stand."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"


TERMS: Final = Lifecycle(
    "closing terms",
    TermsState.PROPOSED,
    (
        (TermsState.PROPOSED, "approve", TermsState.APPROVED),
        (TermsState.PROPOSED, "reject", TermsState.REJECTED),
    ),
)
"""The newest approved terms of a deal hold; while some are undecided the deal is not distributed."""


class PartState(enum.StrEnum):
    """Where a part of the proceeds stands; the part of the closing is shared out from the start."""

    PROPOSED = "proposed"
    SHARED_OUT = "shared_out"
    REJECTED = "rejected"


PART: Final = Lifecycle(
    "part of the proceeds",
    PartState.PROPOSED,
    (
        (PartState.PROPOSED, "approve", PartState.SHARED_OUT),
        (PartState.PROPOSED, "reject", PartState.REJECTED),
    ),
)


class ThirdPartyKind(enum.StrEnum):
    """Who is paid before the seller."""

    DEDUCTION = "deduction"
    SENIOR = "senior"
    LIEN = "lien"


class TermsNotFound(NotFound):
    """There are no such terms."""

    def __init__(self, terms_id: uuid.UUID) -> None:
        super().__init__("closing terms", terms_id)


class PartNotFound(NotFound):
    """There is no such part."""

    def __init__(self, part_id: uuid.UUID) -> None:
        super().__init__("part of the proceeds", part_id)


class TermsUndecided(Conflict):
    """Proposed terms of the closing wait for a second person."""

    code = "closing_terms_undecided"

    def __init__(self) -> None:
        super().__init__("There are closing terms that nobody has decided on: approve or reject them first.")


class TermsTooLate(Conflict):
    """The price is distributed or the deal cancelled: its terms are fixed."""

    code = "closing_terms_fixed"

    def __init__(self, state: str) -> None:
        super().__init__(f"The deal is {state}: the terms of its closing are fixed.", state=state)


class HoldbackTooSmall(Conflict):
    """More would be released than is kept back and not promised already."""

    code = "holdback_too_small"

    def __init__(self, allowed: str) -> None:
        super().__init__(f"{allowed} is kept back and not promised; that much can be released.", allowed=allowed)
