"""What the routes of awards, eligibility and conflicts take in and give out."""

from typing import Any

import marshmallow as ma

from auctions.award_views import AwardFile
from auctions.domain.awards import MAX_PROLONGATIONS, FailureCause, Step
from auctions.domain.eligibility import Check, ConflictRule, ConflictState
from auctions.domain.lifecycles import AwardState
from auctions.eligibility import Eligibility
from marketplace.fields import Amount, Choice, Count, Flag, Id, Instant, PageArgs, Schema, Text, Upload


class RegistrationIn(Schema):
    """What an applicant undertakes; the market of the listing may want it."""

    undertakes_no_resale = Flag(load_default=False)


class AwardOut(Schema):
    """An award. `organisation_id` is null for whoever is not concerned."""

    id = Id(required=True, attribute="row.id")
    auction_id = Id(required=True, attribute="row.auction_id")
    listing_id = Id(required=True, attribute="row.listing_id")
    package_id = Id(required=True, attribute="row.package_id")
    state = Choice(AwardState, required=True, attribute="row.state")
    price = Amount(required=True, attribute="row.price")
    place = Count(required=True, attribute="row.place")
    lots = ma.fields.List(ma.fields.String(), required=True, attribute="row.lots")
    bidder = ma.fields.String(required=True)
    organisation_id = Id(required=True, allow_none=True)
    created_at = Instant(required=True, attribute="row.created_at")


class ProlongationOut(Schema):
    """More time for a contract."""

    number = Count(required=True)
    file_name = ma.fields.String(required=True)
    reason = ma.fields.String(required=True)
    previous_due_at = Instant(required=True)
    due_at = Instant(required=True)
    created_at = Instant(required=True)


class AwardFileOut(Schema):
    """An award with its deadlines. `overdue` is the step whose deadline has passed, computed now."""

    id = Id(required=True)
    auction_id = Id(required=True)
    listing_id = Id(required=True)
    package_id = Id(required=True)
    state = Choice(AwardState, required=True)
    price = Amount(required=True)
    place = Count(required=True)
    lots = ma.fields.List(ma.fields.String(), required=True)
    bidder = ma.fields.String(required=True)
    organisation_id = Id(required=True, allow_none=True)
    created_at = Instant(required=True)
    in_force_at = Instant(required=True, allow_none=True)
    protocol_required = Flag(required=True)
    protocol_due_at = Instant(required=True, allow_none=True)
    protocol_confirmed_at = Instant(required=True, allow_none=True)
    contract_due_at = Instant(required=True, allow_none=True)
    ended_at = Instant(required=True, allow_none=True)
    failure_cause = Choice(FailureCause, required=True, allow_none=True)
    overdue = Choice(Step, required=True, allow_none=True)
    prolongations_allowed = Count(required=True)
    prolongations = ma.fields.List(ma.fields.Nested(ProlongationOut), required=True)

    @ma.pre_dump
    def flatten(self, file: AwardFile, **_: Any) -> dict[str, Any]:
        """Put the row's values and what belongs to it side by side."""
        row = file.view.row
        values = {name: getattr(row, name) for name in self.fields if hasattr(row, name)}
        return values | {
            "bidder": file.view.bidder,
            "organisation_id": file.view.organisation_id,
            "protocol_required": file.terms.protocol_required,
            "prolongations_allowed": len(file.terms.prolongation_days),
            "overdue": file.overdue,
            "prolongations": file.prolongations,
        }


class AwardArgs(PageArgs):
    """A page of awards, of one state on demand."""

    state = Choice(AwardState, load_default=None)


class FailAwardIn(Schema):
    """Why an award fails; `buyer_defaulted` bars the bidder from the re-auction of the package."""

    cause = Choice(FailureCause, required=True, validate=ma.validate.NoneOf([FailureCause.DEADLINE_PASSED]))
    reason = Text(maximum=500, required=True)


class ProlongFileIn(Schema):
    """The document on which a prolongation rests."""

    file = Upload(required=True)


class ProlongIn(Schema):
    """Which prolongation is meant, and why."""

    number = Count(minimum=1, maximum=MAX_PROLONGATIONS, required=True, from_text=True)
    reason = Text(maximum=500, required=True)


class CheckOut(Schema):
    """One condition of bidding; `code` and `detail` say what a refusal says, null when it holds."""

    check = Choice(Check, required=True)
    holds = Flag(required=True)
    code = ma.fields.String(required=True, allow_none=True)
    detail = ma.fields.String(required=True, allow_none=True)


class EligibilityOut(Schema):
    """Whether a registration may bid at an instant, condition by condition."""

    registration_id = Id(required=True)
    at = Instant(required=True)
    eligible = Flag(required=True)
    checks = ma.fields.List(ma.fields.Nested(CheckOut), required=True)
    flagged = ma.fields.List(Choice(ConflictRule), required=True)

    @ma.pre_dump
    def flatten(self, found: Eligibility, **_: Any) -> dict[str, Any]:
        """Spell out each condition."""
        rows = [
            {"check": check, "holds": holds, "code": barred and barred.code, "detail": barred and barred.detail}
            for check, holds, barred in found.checks
        ]
        return {
            "registration_id": found.registration_id,
            "at": found.at,
            "eligible": found.eligible,
            "checks": rows,
            "flagged": list(found.flagged),
        }


class ConflictOut(Schema):
    """A match between a bidder and somebody it must not be; who that is stays unsaid."""

    id = Id(required=True)
    registration_id = Id(required=True)
    rule = Choice(ConflictRule, required=True)
    certain = Flag(required=True)
    state = Choice(ConflictState, required=True)
    reason = ma.fields.String(required=True)
    found_at = Instant(required=True)
    decided_at = Instant(required=True, allow_none=True)


class ConflictArgs(PageArgs):
    """A page of conflicts, of one state on demand."""

    state = Choice(ConflictState, load_default=None)
