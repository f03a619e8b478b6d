"""What the routes of collection take and give."""

import marshmallow as ma

from collection.domain.contact import Channel, ContactRule, PolicyPreset, Relation
from collection.domain.receipts import ReceiptKind
from marketplace import fields
from marketplace.fields import Schema


class RepaymentIn(Schema):
    """Money that a borrower paid."""

    amount = fields.Amount(positive=True, required=True)
    received_on = fields.Day(required=True)
    note = fields.Text(maximum=500, minimum=0, load_default="")


class AppliedOut(Schema):
    """What a receipt paid."""

    other = fields.Amount(signed=True)
    interest = fields.Amount(signed=True)
    principal = fields.Amount(signed=True)
    excess = fields.Amount(signed=True)


class CaseReceiptOut(Schema):
    """Money on a case."""

    id = fields.Id()
    case_id = fields.Id()
    package_id = fields.Id(allow_none=True)
    kind = fields.Choice(ReceiptKind)
    source_kind = ma.fields.String()
    source_id = fields.Id()
    amount = fields.Amount(signed=True)
    applied = ma.fields.Nested(AppliedOut)
    received_on = fields.Day()
    note = ma.fields.String()
    at = fields.Instant()


class CaseReceiptsOut(Schema):
    """Every receipt of a case, oldest first."""

    items = ma.fields.List(ma.fields.Nested(CaseReceiptOut))


class ContactIn(Schema):
    """What someone is about to do; asked before the act."""

    relation = fields.Choice(Relation, required=True)
    channel = fields.Choice(Channel, required=True)
    number = fields.Text(maximum=40, load_default=None, allow_none=True)
    zone = fields.Text(maximum=60, load_default="Asia/Shanghai")
    reachable = fields.Flag(load_default=True)
    consent = fields.Flag(load_default=False)


class OutcomeIn(Schema):
    """What came of a contact."""

    answered = fields.Flag(required=True)
    note = fields.Text(maximum=1000, minimum=0, load_default="")


class OutcomeOut(Schema):
    """What came of a contact."""

    answered = fields.Flag()
    note = ma.fields.String()
    at = fields.Instant()


class ContactRecordOut(Schema):
    """A question to the gate with its answer."""

    id = fields.Id(attribute="record.id")
    case_id = fields.Id(attribute="record.case_id")
    at = fields.Instant(attribute="record.at")
    user_name = ma.fields.String(attribute="record.user_name")
    policy = fields.Choice(PolicyPreset, attribute="record.policy")
    relation = fields.Choice(Relation, attribute="record.relation")
    channel = fields.Choice(Channel, attribute="record.channel")
    number = ma.fields.String(attribute="record.number_masked", allow_none=True)
    allowed = fields.Flag(attribute="record.allowed")
    rule = fields.Choice(ContactRule, attribute="record.rule", allow_none=True)
    reason = ma.fields.String(attribute="record.reason")
    outcome = ma.fields.Nested(OutcomeOut, allow_none=True)


class ApplicationOrderIn(fields.ReasonIn):
    """In which order money pays costs, interest, principal: sets, one after the other, each pro rata.

    Of one case, or of all cases of yours when none is named.
    """

    sets = ma.fields.List(ma.fields.List(ma.fields.String()), required=True)
    case_id = fields.Id(load_default=None)


class ApplicationOrderOut(Schema):
    """A version of an order; the latest of a case holds for it, else the latest of its seller."""

    id = fields.Id()
    case_id = fields.Id(allow_none=True)
    sets = ma.fields.List(ma.fields.List(ma.fields.String()))
    reason = ma.fields.String()
    created_by = ma.fields.String()
    created_at = fields.Instant()


class LevelRuleIn(Schema):
    """A new version of a rule of levels, as in the computation `level`."""

    rules = ma.fields.Dict(keys=ma.fields.String(), required=True)


class LevelRuleOut(Schema):
    """One version of a rule."""

    id = fields.Id()
    version = ma.fields.String()
    rules = ma.fields.Dict(keys=ma.fields.String())
    created_at = fields.Instant()


class ClassifiedOut(Schema):
    """The outcome of a classification."""

    rule_version = ma.fields.String()
    cases = fields.Count()
    changed = fields.Count()
    counts = ma.fields.Dict(keys=ma.fields.String(), values=fields.Count())


class CaseLevelOut(Schema):
    """A level of a case and what it came from."""

    level = ma.fields.String()
    rule_version = ma.fields.String()
    facts = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String())
    scores = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Integer())
    at = fields.Instant()


class CaseLevelsOut(Schema):
    """The levels of a case, the present one first."""

    items = ma.fields.List(ma.fields.Nested(CaseLevelOut))


class ComputationOut(Schema):
    """The answer to a computation, as the command line gives it."""

    result = ma.fields.Dict(keys=ma.fields.String())
    engine = ma.fields.String()
