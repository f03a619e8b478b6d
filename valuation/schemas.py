"""What the routes of valuation take and give."""

import marshmallow as ma

from marketplace import fields
from marketplace.fields import Schema
from valuation.domain.appraisals import AppraisalMethod, AppraisalState, EvidenceRank, ValueKind


class AppraisalRequestIn(Schema):
    """Whom to ask, and what for."""

    valuer_organisation_id = fields.Id(required=True)
    purpose = fields.Text(maximum=1000, required=True)


class EngageIn(Schema):
    """The declaration of independence."""

    independence_statement = fields.Text(maximum=4000, minimum=20, required=True)
    no_conflicts = fields.Flag(required=True)


class SignerIn(Schema):
    """An appraiser who signs."""

    name = fields.Text(maximum=100, required=True)
    certificate_number = fields.Text(maximum=60, required=True)


class SubmissionIn(Schema):
    """The opinion. Everything may be left out; what is missing is named at once."""

    kind = fields.Choice(ValueKind, load_default=None, allow_none=True)
    methods = ma.fields.List(fields.Choice(AppraisalMethod), load_default=list, validate=ma.validate.Length(max=20))
    methods_justification = fields.Text(maximum=4000, minimum=0, load_default="")
    signers = ma.fields.List(ma.fields.Nested(SignerIn), load_default=list, validate=ma.validate.Length(max=20))
    inspection_statement = fields.Text(maximum=4000, minimum=0, load_default="")
    scope = fields.Text(maximum=4000, minimum=0, load_default="")
    value = fields.Amount(load_default=None, allow_none=True)
    valued_on = fields.Day(load_default=None, allow_none=True)
    valid_until_on = fields.Day(load_default=None, allow_none=True)


class ReportIn(Schema):
    """The report as a PDF."""

    file = fields.Upload(required=True)


class AppraisalOut(Schema):
    """An appraisal; the fields of the submission are null until there is one."""

    id = fields.Id(attribute="appraisal.id")
    package_id = fields.Id(attribute="appraisal.package_id")
    organisation_id = fields.Id(attribute="appraisal.organisation_id")
    valuer_organisation_id = fields.Id(attribute="appraisal.valuer_organisation_id")
    state = fields.Choice(AppraisalState, attribute="appraisal.state")
    purpose = ma.fields.String(attribute="appraisal.purpose")
    currency = ma.fields.String(attribute="appraisal.currency")
    requested_at = fields.Instant(attribute="appraisal.requested_at")
    independence_statement = ma.fields.String(attribute="appraisal.independence_statement", allow_none=True)
    engaged_at = fields.Instant(attribute="appraisal.engaged_at", allow_none=True)
    has_report = ma.fields.Function(
        lambda shown: shown.appraisal.report_file_id is not None, metadata={"type": "boolean"}
    )
    kind = fields.Choice(ValueKind, attribute="appraisal.kind", allow_none=True)
    methods = ma.fields.List(ma.fields.String(), attribute="appraisal.methods")
    methods_justification = ma.fields.String(attribute="appraisal.methods_justification")
    inspection_statement = ma.fields.String(attribute="appraisal.inspection_statement")
    scope = ma.fields.String(attribute="appraisal.scope")
    signers = ma.fields.List(ma.fields.Nested(SignerIn))
    value = fields.Amount(attribute="appraisal.value", allow_none=True)
    valued_on = fields.Day(attribute="appraisal.valued_on", allow_none=True)
    valid_until_on = fields.Day(attribute="appraisal.valid_until_on", allow_none=True)
    submitted_at = fields.Instant(attribute="appraisal.submitted_at", allow_none=True)
    decided_at = fields.Instant(attribute="appraisal.decided_at", allow_none=True)


class AssumptionSetIn(Schema):
    """A new version of what the model assumes."""

    version = fields.Text(maximum=40, required=True)
    assumptions = ma.fields.Dict(keys=ma.fields.String(), required=True)


class AssumptionSetOut(Schema):
    """A version of what the model assumes."""

    id = fields.Id()
    version = ma.fields.String()
    shared = fields.Flag()
    assumptions = ma.fields.Dict(keys=ma.fields.String())
    created_at = fields.Instant()


class ValuationIn(Schema):
    """Which assumptions to use; none: those of the house."""

    assumption_set_id = fields.Id(load_default=None, allow_none=True)


class StratumFigureOut(Schema):
    """What one stratum is worth; amounts in minor units of the valuation's currency."""

    name = ma.fields.String()
    method = ma.fields.String()
    cases = fields.Count()
    exposure_minor = fields.Count()
    value_minor = fields.Count()


class ValuationOut(Schema):
    """A figure of the model with its inputs."""

    id = fields.Id()
    package_id = fields.Id()
    method_version = ma.fields.String()
    assumption_set_id = fields.Id(allow_none=True)
    assumptions_version = ma.fields.String()
    assumptions = ma.fields.Dict(keys=ma.fields.String())
    tape_sha256 = ma.fields.String()
    exposure = fields.Amount()
    value = fields.Amount()
    strata = ma.fields.List(ma.fields.Nested(StratumFigureOut))
    computed_at = fields.Instant()


class ImpliedReserveOut(Schema):
    """What an opinion of value means for a sale."""

    floor_rate = fields.Rate()
    start_price = fields.Amount()
    second_start_price = fields.Amount()
    deposit_low = fields.Amount()
    deposit_high = fields.Amount()
    source = ma.fields.String()


class OpinionOut(Schema):
    """One opinion of value with the reserve it implies."""

    rank = fields.Choice(EvidenceRank)
    id = fields.Id()
    value = fields.Amount()
    valued_on = fields.Day()
    valid_until_on = fields.Day(allow_none=True)
    in_force = fields.Flag()
    implied = ma.fields.Nested(ImpliedReserveOut)


class OpinionsOut(Schema):
    """Opinions of value side by side, strongest evidence first; never merged."""

    items = ma.fields.List(ma.fields.Nested(OpinionOut))


class StepOut(Schema):
    """One line of the working."""

    name = ma.fields.String()
    amount = ma.fields.String()


class ValueOut(Schema):
    """The answer of a method, as the command line gives it."""

    method = ma.fields.String()
    result = ma.fields.Dict(keys=ma.fields.String())
    steps = ma.fields.List(ma.fields.Nested(StepOut))
    engine = ma.fields.String()
