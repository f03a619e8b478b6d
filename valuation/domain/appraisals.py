"""Appraisals: their lifecycle, what a valuer declares, and what a submission must contain.

Source: Asset Appraisal Law of the People's Republic of China, Art. 13, 24 to 27, 32; validity for court use at most a
year. 价值评估 (full procedure) and 价值分析 (advisory) are never mixed.
"""

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from marketplace.errors import Conflict, Invalid
from marketplace.lifecycle import Lifecycle
from marketplace.money import Money

LEAST_METHODS: Final = 2
LEAST_SIGNERS: Final = 2


class AppraisalState(enum.StrEnum):
    """Where an appraisal stands."""

    REQUESTED = "requested"
    ENGAGED = "engaged"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DECLINED = "declined"


APPRAISAL: Final = Lifecycle(
    "Appraisal",
    AppraisalState.REQUESTED,
    [
        (AppraisalState.REQUESTED, "engage", AppraisalState.ENGAGED),
        (AppraisalState.REQUESTED, "decline", AppraisalState.DECLINED),
        (AppraisalState.ENGAGED, "decline", AppraisalState.DECLINED),
        (AppraisalState.ENGAGED, "submit", AppraisalState.SUBMITTED),
        (AppraisalState.SUBMITTED, "return", AppraisalState.ENGAGED),
        (AppraisalState.SUBMITTED, "accept", AppraisalState.ACCEPTED),
        (AppraisalState.SUBMITTED, "reject", AppraisalState.REJECTED),
    ],
)


class ValueKind(enum.StrEnum):
    """What kind of opinion it is; the two are shown separately."""

    FULL = "full"
    ADVISORY = "advisory"


class AppraisalMethod(enum.StrEnum):
    """The usual methods for bad debts."""

    COLLATERAL_LIQUIDATION = "collateral_liquidation"
    DISCOUNTED_CASH_FLOW = "discounted_cash_flow"
    HYPOTHETICAL_LIQUIDATION = "hypothetical_liquidation"
    GOING_CONCERN = "going_concern"
    COMPARABLES = "comparables"
    RECOVERY_CURVE = "recovery_curve"
    COST = "cost"


class EvidenceRank(enum.StrEnum):
    """How strong an opinion of value is, strongest first; ranks are never mixed silently (`rules.md`, Valuation)."""

    FULL_APPRAISAL = "full_appraisal"
    ADVISORY = "advisory"
    AUTOMATED_MODEL = "automated_model"


class NotIndependent(Conflict):
    """The valuer cannot act in this matter."""

    code = "not_independent"

    def __init__(self, why: str) -> None:
        super().__init__(f"This valuer is not independent here: {why}")


class SubmissionIncomplete(Invalid):
    """The submission lacks something or contradicts itself; `errors` name everything at once."""

    code = "submission_incomplete"

    def __init__(self, lacks: "Sequence[Lack]") -> None:
        super().__init__(
            f"{len(lacks)} thing{'s' if len(lacks) > 1 else ''} missing or wrong in this submission; see errors.",
            errors=[{"pointer": lack.pointer, "detail": lack.detail} for lack in lacks],
        )


@dataclass(frozen=True, slots=True)
class Lack:
    """One thing that a submission lacks, and where it belongs."""

    pointer: str
    detail: str


@dataclass(frozen=True, slots=True)
class Signer:
    """An appraiser who signs, by certificate."""

    name: str
    certificate_number: str


@dataclass(frozen=True, slots=True)
class Submission:
    """What a valuer submits; None where nothing was given."""

    kind: ValueKind | None
    methods: Sequence[AppraisalMethod]
    methods_justification: str
    signers: Sequence[Signer]
    inspection_statement: str
    scope: str
    value: Money | None
    valued_on: date | None
    valid_until_on: date | None


def lacks_of(submission: Submission, *, currency: str, has_report: bool, today: date) -> list[Lack]:
    """Return everything that is missing or wrong, in the order of the form; nothing when it may be submitted."""
    return [
        *_lacks_of_text(submission, has_report=has_report),
        *_lacks_of_people(submission),
        *_lacks_of_value(submission, currency=currency),
        *_lacks_of_days(submission, today=today),
    ]


def _lacks_of_text(submission: Submission, *, has_report: bool) -> Iterator[Lack]:
    if not has_report:
        yield Lack("/report", "The report as a PDF is missing: upload it first.")
    if submission.kind is None:
        yield Lack("/kind", "Say whether it is a full appraisal or advisory.")
    methods = set(submission.methods)
    if not methods:
        yield Lack("/methods", f"Name the methods, at least {LEAST_METHODS}.")
    elif len(methods) < LEAST_METHODS and not submission.methods_justification:
        yield Lack("/methods", f"At least {LEAST_METHODS} methods, or say in methods_justification why one must do.")
    if not submission.inspection_statement:
        yield Lack("/inspection_statement", "Say what was inspected, when and by whom, or why it could not be.")
    if not submission.scope:
        yield Lack("/scope", "Say what the opinion may be used for.")


def _lacks_of_people(submission: Submission) -> Iterator[Lack]:
    certificates = {signer.certificate_number for signer in submission.signers}
    names = {signer.name for signer in submission.signers}
    if len(certificates) < LEAST_SIGNERS or len(names) < LEAST_SIGNERS:
        yield Lack("/signers", f"At least {LEAST_SIGNERS} different appraisers sign, each with a certificate number.")
    elif len(certificates) < len(submission.signers):
        yield Lack("/signers", "A certificate number stands twice.")


def _lacks_of_value(submission: Submission, *, currency: str) -> Iterator[Lack]:
    if submission.value is None:
        yield Lack("/value", "The value is missing.")
    elif submission.value.currency != currency:
        yield Lack("/value", f"The value must be in {currency}, the currency of the package.")


def _lacks_of_days(submission: Submission, *, today: date) -> Iterator[Lack]:
    valued, until = submission.valued_on, submission.valid_until_on
    if valued is None:
        yield Lack("/valued_on", "The valuation date is missing.")
    elif valued > today:
        yield Lack("/valued_on", "The valuation date is still to come.")
    if until is None:
        yield Lack("/valid_until_on", "The last day of validity is missing.")
    elif valued is not None and until < valued:
        yield Lack("/valid_until_on", "It ends before the valuation date.")
    elif valued is not None and until > a_year_after(valued):
        yield Lack("/valid_until_on", f"At most a year: {a_year_after(valued)} for this valuation date.")


def a_year_after(day: date) -> date:
    """Return the same day of the next year; 28 February for 29 February."""
    try:
        return day.replace(year=day.year + 1)
    except ValueError:
        return day.replace(year=day.year + 1, day=28)


class NotAPdf(Invalid):
    """The file is not a complete PDF."""

    code = "not_a_pdf"

    def __init__(self) -> None:
        super().__init__("The report must be a PDF file, complete from its head (%PDF-) to its end (%%EOF).")


def check_report(content: bytes) -> None:
    """Refuse what does not begin and end as a PDF does; the content itself is for people to read."""
    if not content.startswith(b"%PDF-") or b"%%EOF" not in content[-1024:]:
        raise NotAPdf
