"""Notice of assignment (债权转让通知): a transfer binds a borrower once it has been told (Civil Code 546). Pure."""

import enum
import uuid
from datetime import date
from typing import Final

from marketplace.errors import Conflict, Invalid, NotFound
from marketplace.lifecycle import Lifecycle


class NoticeState(enum.StrEnum):
    """Where the notice to the borrower of a case stands."""

    WRITTEN = "written"
    SENT = "sent"
    DELIVERED = "delivered"
    RETURNED = "returned"


NOTICE: Final = Lifecycle(
    "assignment notice",
    NoticeState.WRITTEN,
    (
        (NoticeState.WRITTEN, "send", NoticeState.SENT),
        (NoticeState.SENT, "deliver", NoticeState.DELIVERED),
        (NoticeState.SENT, "return", NoticeState.RETURNED),
        (NoticeState.RETURNED, "send", NoticeState.SENT),
    ),
)
"""`returned` came back undelivered and may be sent again, another way; from `delivered` on the transfer binds."""


class NoticeKind(enum.StrEnum):
    """What a borrower is told: that its debt went to the buyer, or, when the case went back, to the seller again."""

    ASSIGNMENT = "assignment"
    REASSIGNMENT = "reassignment"


class DeliveryChannel(enum.StrEnum):
    """By which way a borrower is told."""

    REGISTERED_MAIL = "registered_mail"
    COURIER = "courier"
    IN_PERSON = "in_person"
    NOTARY = "notary"
    NEWSPAPER = "newspaper"
    ELECTRONIC = "electronic"


class AssignmentNoticeNotFound(NotFound):
    """There is no such notice, or its deal is not the actor's."""

    def __init__(self, notice_id: uuid.UUID) -> None:
        super().__init__("assignment notice", notice_id)


class TitleNotPassed(Conflict):
    """The cases are not the buyer's yet: there is nothing to tell."""

    code = "title_not_passed"

    def __init__(self, state: str) -> None:
        super().__init__(f"The deal is {state}: borrowers are told once its cases are the buyer's.", state=state)


class NotSentYet(Conflict):
    """There is nothing to prove of a notice that was not sent."""

    code = "not_sent_yet"

    def __init__(self) -> None:
        super().__init__("The notice was not sent yet: record how it was sent, then add the proof.")


class ProofMissing(NotFound):
    """Nobody added a paper to the notice."""

    def __init__(self, notice_id: uuid.UUID) -> None:
        super().__init__("proof of assignment notice", notice_id)


class CaseWentBack(Conflict):
    """The case is the seller's again: its borrower is not told of the transfer any more."""

    code = "case_went_back"

    def __init__(self, case_key: str) -> None:
        super().__init__(f"The case {case_key[:60]!r} went back to the seller; its borrower keeps its creditor.")


class TooManyNotices(Conflict):
    """One file does not hold the notices of this deal."""

    code = "too_many_notices"

    def __init__(self, count: int, most: int) -> None:
        super().__init__(
            f"The deal has {count} notices, a file holds {most}: read them page by page (`/assignment-notices`).",
            count=count,
            most=most,
        )


class DeliveredBeforeSent(Invalid):
    """A notice cannot arrive before it was sent."""

    code = "delivered_before_sent"

    def __init__(self, sent_on: date) -> None:
        super().__init__(f"The notice was sent on {sent_on.isoformat()}; it arrived on that day or later.")
