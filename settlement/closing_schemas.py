"""What goes in and out of the routes of closings: terms, previews, third parties, parts, cases."""

import marshmallow as ma

from marketplace.fields import Amount, Choice, Id, Instant, ReasonIn, Schema
from settlement.domain.decisions import PartState, TermsState, ThirdPartyKind


class TermsIn(ReasonIn):
    """Terms of a closing beyond the fee schedule, in the form of `docs/algorithms/settlement.md`."""

    terms = ma.fields.Dict(required=True)


class TermsPreviewIn(Schema):
    """Terms to look at; those in force when they are left out."""

    terms = ma.fields.Dict(load_default=None)


class TermsOut(Schema):
    """A version of a deal's terms; the newest approved one holds."""

    id = Id(required=True)
    deal_id = Id(required=True)
    terms = ma.fields.Dict(required=True)
    state = Choice(TermsState, required=True)
    reason = ma.fields.String(required=True)
    proposed_by = ma.fields.String(required=True)
    proposed_at = Instant(required=True)
    decided_by = ma.fields.String(required=True, allow_none=True)
    decided_at = Instant(required=True, allow_none=True)


class TermsListOut(Schema):
    """Every version of a deal's terms, newest first."""

    items = ma.fields.List(ma.fields.Nested(TermsOut), required=True)


class ThirdPartyOut(Schema):
    """Who is paid before the seller: `claim` is asked for, `paid` is taken; a lien names its case."""

    id = Id(required=True)
    kind = Choice(ThirdPartyKind, required=True)
    case_id = Id(required=True, allow_none=True)
    name = ma.fields.String(required=True)
    payee = ma.fields.String(required=True)
    rank = ma.fields.Integer(required=True)
    claim = Amount(required=True)
    paid = Amount(required=True)


class ThirdPartiesOut(Schema):
    """Everybody who is paid out of a deal before the seller."""

    items = ma.fields.List(ma.fields.Nested(ThirdPartyOut), required=True)


class ReleaseIn(ReasonIn):
    """How much of the holdback goes to the seller; all that is left when nothing is said."""

    amount = Amount(load_default=None, positive=True)


class PartOut(Schema):
    """A part of a deal's proceeds: number 1 with the closing, the others out of the holdback."""

    id = Id(required=True)
    deal_id = Id(required=True)
    number = ma.fields.Integer(required=True)
    amount = Amount(required=True)
    state = Choice(PartState, required=True)
    reason = ma.fields.String(required=True)
    proposed_by = ma.fields.String(required=True)
    proposed_at = Instant(required=True)
    decided_by = ma.fields.String(required=True, allow_none=True)
    decided_at = Instant(required=True, allow_none=True)


class PartsOut(Schema):
    """The parts of a deal in order."""

    items = ma.fields.List(ma.fields.Nested(PartOut), required=True)


class InstalmentOut(Schema):
    """An instalment of the price as it was distributed: received = deducted + net, net = liens + held + at_once."""

    id = Id(required=True)
    deal_id = Id(required=True)
    number = ma.fields.Integer(required=True)
    receipt_entry_id = Id(required=True)
    received = Amount(required=True)
    deducted = Amount(required=True)
    net = Amount(required=True)
    liens = Amount(required=True)
    held = Amount(required=True)
    at_once = Amount(required=True)
    case_count = ma.fields.Integer(required=True)
    distributed_at = Instant(required=True)


class InstalmentsOut(Schema):
    """The instalments of a deal that are distributed, in order."""

    items = ma.fields.List(ma.fields.Nested(InstalmentOut), required=True)


class CaseInstalmentOut(Schema):
    """What one case has of an instalment: `lien` of its net goes to others, `at_once` to its seller now."""

    case_id = Id(required=True)
    case_key = ma.fields.String(required=True)
    net = Amount(required=True)
    lien = Amount(required=True)
    at_once = Amount(required=True)


class CaseClosingOut(Schema):
    """A case at its closing: `price` frozen, `net` after what left the price, `proceeds` after the liens on it.

    A buyer sees the price alone; the others are null for it.

    `costs`, `interest`, `principal`, `excess`: what the proceeds pay inside the case, in the order of the terms.
    """

    case_id = Id(required=True)
    case_key = ma.fields.String(required=True)
    price = Amount(required=True)
    net = Amount(required=True, allow_none=True)
    proceeds = Amount(required=True, allow_none=True)
    costs = Amount(required=True, allow_none=True)
    interest = Amount(required=True, allow_none=True)
    principal = Amount(required=True, allow_none=True)
    excess = Amount(required=True, allow_none=True)


class ClosingOut(Schema):
    """A closing in the words of its document (`docs/algorithms/settlement.md`): amounts are texts in its currency."""

    gross = ma.fields.String(required=True)
    deposit_applied = ma.fields.String(required=True)
    balance_due = ma.fields.String(required=True)
    deductions = ma.fields.List(ma.fields.Dict(), required=True)
    senior_claims = ma.fields.List(ma.fields.Dict(), required=True)
    net = ma.fields.String(required=True)
    liens = ma.fields.List(ma.fields.Dict(), required=True)
    proceeds = ma.fields.String(required=True)
    holdback = ma.fields.String(required=True)
    first = ma.fields.String(required=True)
    cases = ma.fields.List(ma.fields.Dict(), required=True)
    instalments = ma.fields.List(ma.fields.Dict())
    engine = ma.fields.String(required=True)


class ProofOut(Schema):
    """A proof package: what a closing was computed from, its result, and the SHA-256 of both."""

    format = ma.fields.String(required=True)
    inputs = ma.fields.Dict(required=True)
    result = ma.fields.Nested(ClosingOut, required=True)
    hash = ma.fields.String(required=True)
