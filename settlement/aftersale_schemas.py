"""What goes in and out of the routes of what follows a closing: adjustments, true-ups, figures and their rows."""

import marshmallow as ma

from marketplace import fields
from marketplace.fields import Amount, Choice, Day, Id, Instant, PageArgs, ReasonIn, Schema, Text
from settlement.domain.adjustments import AdjustmentKind, AdjustmentState
from settlement.domain.assignment import DeliveryChannel, NoticeKind, NoticeState
from settlement.domain.deal import Party
from settlement.figures import StatementFigure
from settlement.ledger_schemas import LedgerFileArgs

MAX_CASES = 10_000


class AdjustedCaseIn(Schema):
    """A case of the deal by its key; `amount`: what was collected on it (by the seller, or by the buyer it leaves)."""

    case_key = Text(required=True)
    amount = Amount(load_default=None, signed=True)


class AdjustmentIn(ReasonIn):
    """What moves after a closing. `price`: an `amount`, above zero back to the buyer; the other kinds: `cases`."""

    kind = Choice(AdjustmentKind, required=True)
    value_on = Day(required=True)
    amount = Amount(load_default=None, signed=True)
    cases = ma.fields.List(
        ma.fields.Nested(AdjustedCaseIn), load_default=list, validate=ma.validate.Length(max=MAX_CASES)
    )


class CoverIn(Schema):
    """The bank line whose unapplied money pays an adjustment."""

    statement_line_id = Id(required=True)


class AdjustmentOut(Schema):
    """An adjustment: above zero the seller owes the buyer. `amount` = `covered` + `open`.

    A wire that names `reference` pays it by itself.
    """

    id = Id(required=True)
    deal_id = Id(required=True)
    kind = Choice(AdjustmentKind, required=True)
    state = Choice(AdjustmentState, required=True)
    amount = Amount(required=True)
    covered = Amount(required=True)
    open = Amount(required=True)
    value_on = Day(required=True)
    reference = ma.fields.String(required=True, allow_none=True)
    reason = ma.fields.String(required=True)
    proposed_by = ma.fields.String(required=True)
    proposed_at = Instant(required=True)
    decided_by = ma.fields.String(required=True, allow_none=True)
    decided_at = Instant(required=True, allow_none=True)


class CasePartOut(Schema):
    """The part of one case in an adjustment, with its sign."""

    case_id = Id(required=True)
    case_key = ma.fields.String(required=True)
    amount = Amount(required=True)


class TrueUpArgs(Schema):
    """Whose statement; only operator and auditor choose, a party gets its own."""

    party = Choice(Party, load_default=None)


class TrueUpFileArgs(LedgerFileArgs):
    """Whose statement, as which file, in which language."""

    party = Choice(Party, load_default=None)


class TrueUpLineOut(Schema):
    """One adjustment as a side sees it: above zero is owed to it."""

    adjustment_id = Id(required=True)
    kind = Choice(AdjustmentKind, required=True)
    value_on = Day(required=True)
    amount = Amount(required=True)
    paid = Amount(required=True)
    open = Amount(required=True)


class TrueUpOut(Schema):
    """The true-up of one side; the lines add up to `total` = `paid` + `open`. The other side's: every sign turned."""

    party = Choice(Party, required=True)
    at = Instant(required=True)
    lines = ma.fields.List(ma.fields.Nested(TrueUpLineOut), required=True)
    total = Amount(required=True)
    paid = Amount(required=True)
    open = Amount(required=True)


class FigureOut(Schema):
    """A figure of a statement: the sum of `rows` rows, which `href` lists."""

    figure = Choice(StatementFigure, required=True)
    amount = Amount(required=True)
    rows = ma.fields.Integer(required=True)
    href = ma.fields.String(required=True)


class FiguresOut(Schema):
    """Every figure of a deal that you may see."""

    items = ma.fields.List(ma.fields.Nested(FigureOut), required=True)


class FigureRowOut(Schema):
    """One row behind a figure; `kind` and `id` say where it is kept."""

    kind = ma.fields.String(required=True)
    id = ma.fields.String(required=True)
    label = ma.fields.String(required=True)
    amount = Amount(required=True)


class AssignmentNoticeArgs(PageArgs):
    """Which notices of a deal."""

    state = Choice(NoticeState, load_default=None)


class NoticeSentIn(Schema):
    """How and when a notice was sent; `proof` names the receipt of whoever carries it."""

    channel = Choice(DeliveryChannel, required=True)
    on = Day(required=True)
    proof = Text(required=True)


class NoticeDeliveredIn(Schema):
    """When a notice arrived, and what proves it."""

    on = Day(required=True)
    proof = Text(required=True)


class NoticeProofFile(Schema):
    """The paper that proves that a notice was sent or arrived."""

    file = fields.Upload(required=True)


class AssignmentNoticeOut(Schema):
    """A notice to the borrower of a case; from `delivered_on` the transfer binds it (Civil Code 546).

    `reassignment`: the case went back, and the borrower, once told, is told that it pays the seller again.
    """

    id = Id(required=True)
    deal_id = Id(required=True)
    case_id = Id(required=True)
    case_key = ma.fields.String(required=True)
    kind = Choice(NoticeKind, required=True)
    state = Choice(NoticeState, required=True)
    written_at = Instant(required=True)
    channel = Choice(DeliveryChannel, required=True, allow_none=True)
    sent_on = Day(required=True, allow_none=True)
    delivered_on = Day(required=True, allow_none=True)
    proof = ma.fields.String(required=True)
    proof_file_id = Id(required=True, allow_none=True)


class AssignmentJobOut(Schema):
    """The job that writes the notices; its progress is under `/jobs/{id}`."""

    id = Id(required=True)
