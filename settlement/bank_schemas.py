"""What goes in and out of the routes of bank statements: accounts, statements, lines, matches, queue."""

import marshmallow as ma

from marketplace import fields
from marketplace.fields import Amount, Choice, Count, Day, Flag, Id, Instant, PageArgs, Schema, Text
from marketplace.money import EXPONENTS, Money
from settlement.bank_models import MatchProposal
from settlement.domain.bank_csv import DateOrder
from settlement.domain.csv_profiles import PROFILES
from settlement.domain.ladder import Reason, Rung
from settlement.domain.matching import Finding
from settlement.domain.statements import StatementFormat

_CURRENCIES = sorted(EXPONENTS)


class StatementFile(Schema):
    """The file."""

    file = fields.Upload(required=True)


class StatementForm(Schema):
    """How to read it. Without `format` it is recognised; the rest is for CSV exports that do not say it themselves."""

    format = Choice(StatementFormat, load_default=None)
    profile = ma.fields.String(
        validate=ma.validate.OneOf(sorted(PROFILES)),
        load_default="",
        metadata={"description": "A named layout with its version; else that of our account, else the usual headers."},
    )
    account = Text(maximum=64, load_default="")
    currency = ma.fields.String(validate=ma.validate.OneOf(_CURRENCIES), load_default="")
    date_order = Choice(DateOrder, load_default=None)
    decimal_comma = Flag(from_text=True, load_default=False)
    columns = Text(
        maximum=2000,
        load_default="",
        metadata={"description": 'Own header names as JSON: {"date": "记账日", "credit": "贷方"}.'},
    )


class MatchOut(Schema):
    """What a receipt was counted for."""

    id = Id(required=True)
    line_id = Id(required=True, allow_none=True)
    reference = ma.fields.String(required=True)
    deposit_id = Id(required=True, allow_none=True)
    payment_order_id = Id(required=True, allow_none=True)
    amount = Amount(required=True)
    automatic = ma.fields.Boolean(required=True)
    matched_by = ma.fields.String(required=True)
    matched_at = Instant(required=True)


class MatchPartOut(Schema):
    """So much of a line for what a reference names."""

    line_id = Id(required=True)
    reference = ma.fields.String(required=True)
    amount = Amount(required=True)


class MatchProposalOut(Schema):
    """A person's match that waits for a second person."""

    id = Id(required=True)
    line_id = Id(required=True)
    amount = Amount(required=True)
    parts = ma.fields.Method("_parts", required=True)
    rung = Choice(Rung, required=True, allow_none=True)
    third_party = ma.fields.Boolean(required=True)
    document_id = Id(required=True, allow_none=True)
    reason = ma.fields.String(required=True)
    proposed_by = ma.fields.String(required=True)
    proposed_at = Instant(required=True)

    def _parts(self, row: MatchProposal) -> list[dict[str, object]]:
        return [
            MatchPartOut().dump({**part, "amount": Money(part["amount_minor"], row.currency)}) for part in row.parts
        ]


class OwnerOut(Schema):
    """Who looks after a line."""

    owner_id = Id(required=True, allow_none=True)
    owner = ma.fields.String(required=True)
    note = ma.fields.String(required=True)
    assigned_by = ma.fields.String(required=True)
    assigned_at = Instant(required=True)


class StatementLineOut(Schema):
    """One movement: `amount` in +, out −; `open` is the part that is not matched; `finding` says what was found.

    `matches` are those that stand, `proposals` those that wait for a second person.
    """

    id = Id(required=True, attribute="line.id")
    statement_id = Id(required=True, attribute="line.statement_id")
    position = Count(required=True, attribute="line.position")
    amount = Amount(required=True, attribute="line.amount")
    open = Amount(required=True)
    booked_on = Day(required=True, attribute="line.booked_on")
    value_on = Day(required=True, attribute="line.value_on")
    remittance = ma.fields.String(required=True, attribute="line.remittance")
    end_to_end_id = ma.fields.String(required=True, attribute="line.end_to_end_id")
    counterparty_name = ma.fields.String(required=True, attribute="line.counterparty_name")
    counterparty_account = ma.fields.String(required=True, attribute="line.counterparty_account")
    bank_reference = ma.fields.String(required=True, attribute="line.bank_reference")
    finding = Choice(Finding, required=True, attribute="line.finding")
    sub_account = ma.fields.String(required=True, attribute="line.sub_account")
    matches = ma.fields.List(ma.fields.Nested(MatchOut), required=True)
    proposals = ma.fields.List(ma.fields.Nested(MatchProposalOut), required=True)
    owner = ma.fields.Nested(OwnerOut, required=True, allow_none=True)


class StatementOut(Schema):
    """A statement. `proven`: opening + lines = closing was checked; `new_line_count` of its lines were not known."""

    id = Id(required=True)
    format = Choice(StatementFormat, required=True)
    account_number = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    reference = ma.fields.String(required=True)
    from_on = Day(required=True, allow_none=True)
    to_on = Day(required=True, allow_none=True)
    opening = Amount(required=True, allow_none=True)
    closing = Amount(required=True, allow_none=True)
    proven = ma.fields.Boolean(required=True)
    line_count = Count(required=True)
    new_line_count = Count(required=True)
    pending_count = Count(required=True)
    imported_at = Instant(required=True)
    imported_by = ma.fields.String(required=True)
    own_account_id = Id(required=True)
    number = Count(required=True, allow_none=True)


class StatementWithLinesOut(Schema):
    """A statement with the first 500 of the lines that it brought, and their matches."""

    statement = ma.fields.Nested(StatementOut, required=True)
    lines = ma.fields.List(ma.fields.Nested(StatementLineOut), required=True)


class StatementsOut(Schema):
    """Every statement of a file."""

    items = ma.fields.List(ma.fields.Nested(StatementWithLinesOut), required=True)


class LineArgs(PageArgs):
    """Which lines: of one statement; `open` leaves those of which something is not matched (unapplied cash)."""

    statement_id = Id(load_default=None)
    open = Flag(from_text=True, load_default=False)
    finding = Choice(Finding, load_default=None)
    account = Text(maximum=64, load_default=None)
    owner_id = Id(load_default=None)
    older_than_days = Count(minimum=0, maximum=36_500, load_default=None, from_text=True)


class MatchPartIn(Schema):
    """So much of a line (this one unless named) for what a reference names."""

    line_id = Id(load_default=None)
    reference = Text(maximum=40, required=True)
    amount = Amount(required=True)


class LineMatchIn(Schema):
    """What a line is for: one reference (`DP-…`, `INV-…`, or `PO-…` for money that left), or the parts of it.

    `rung` says on which suggestion the person decided, where it was one. The `RF…` of a notice names what it is for.
    For a third party's payment a document (kept before) and a reason go to a second person.
    """

    reference = Text(maximum=40, load_default="")
    parts = ma.fields.List(ma.fields.Nested(MatchPartIn), load_default=list, validate=ma.validate.Length(max=5))
    rung = Choice(Rung, load_default=None)
    document_id = Id(load_default=None)
    reason = Text(maximum=500, load_default="", minimum=0)


class LineDocumentFile(Schema):
    """A document about whoever paid: PDF, PNG or JPEG."""

    file = fields.Upload(required=True)


class LineDocumentOut(Schema):
    """A document that was kept; its id goes into the match."""

    id = Id(required=True)
    name = ma.fields.String(required=True)
    media_type = ma.fields.String(required=True)
    size = Count(required=True)
    sha256 = ma.fields.String(required=True)


class SuggestionOut(Schema):
    """What a line may be for. `score` orders suggestions, 0 to 100; it is no probability."""

    rung = Choice(Rung, required=True)
    score = Count(required=True)
    reasons = ma.fields.List(Choice(Reason), required=True)
    parts = ma.fields.List(ma.fields.Nested(MatchPartOut), required=True)


class SuggestionsOut(Schema):
    """Suggestions, best first."""

    items = ma.fields.List(ma.fields.Nested(SuggestionOut), required=True)


class AssignIn(Schema):
    """Who looks after a line: a person of the operator, whoever asks unless named."""

    owner_id = Id(load_default=None)
    note = Text(maximum=500, load_default="", minimum=0)


class CheckedStatementOut(Schema):
    """A statement that was only read. `proven`: it adds up by itself; `problem` says why it would be refused."""

    format = Choice(StatementFormat, required=True)
    kind = ma.fields.String(required=True)
    account_number = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    opening = Amount(required=True, allow_none=True)
    closing = Amount(required=True, allow_none=True)
    line_count = Count(required=True)
    pending_count = Count(required=True)
    proven = ma.fields.Boolean(required=True)
    problem = ma.fields.String(required=True, allow_none=True)


class CheckedStatementsOut(Schema):
    """Every statement of a file that was only read."""

    items = ma.fields.List(ma.fields.Nested(CheckedStatementOut), required=True)


class OwnAccountIn(Schema):
    """One of our accounts, in the currency of `opening`: its balance before the first statement."""

    bank_name = Text(maximum=120, required=True)
    holder = Text(maximum=120, required=True)
    number = Text(maximum=64, required=True, pattern=".*[0-9A-Za-z].*")
    opening = Amount(required=True, signed=True)
    numbered = Flag(load_default=False)
    csv_profile = ma.fields.String(validate=ma.validate.OneOf(["", *sorted(PROFILES)]), load_default="")
    four_eyes_above = Amount(required=True)


class OwnAccountOut(Schema):
    """One of our accounts; a person's match of more than `four_eyes_above` needs a second person."""

    id = Id(required=True)
    bank_name = ma.fields.String(required=True)
    holder = ma.fields.String(required=True)
    number = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    opening = Amount(required=True)
    numbered = ma.fields.Boolean(required=True)
    csv_profile = ma.fields.String(required=True)
    four_eyes_above = Amount(required=True)
    created_at = Instant(required=True)
    created_by = ma.fields.String(required=True)


class DayDifferenceOut(Schema):
    """A part of the difference and its reason."""

    reason = ma.fields.String(required=True, validate=ma.validate.OneOf(["opening_balance", "line_not_in_books"]))
    amount = Amount(required=True)
    line_id = Id(required=True, allow_none=True)


class DayCloseRowOut(Schema):
    """The close as it was written down."""

    explanation = ma.fields.String(required=True)
    closed_by = ma.fields.String(required=True)
    closed_at = Instant(required=True)


class DayOut(Schema):
    """Bank against books of one account at the end of a day.

    `difference` = bank − ledger, `expected` = bank − in transit.
    """

    own_account_id = Id(required=True, attribute="account.id")
    on = Day(required=True)
    bank = Amount(required=True)
    ledger = Amount(required=True)
    in_transit = Amount(required=True)
    expected = Amount(required=True)
    difference = Amount(required=True)
    differences = ma.fields.List(ma.fields.Nested(DayDifferenceOut), required=True)
    close = ma.fields.Nested(DayCloseRowOut, required=True, allow_none=True)


class DayArgs(Schema):
    """Which day."""

    on = Day(required=True)


class DayCloseIn(Schema):
    """Which day, and why bank and books differ, where they do."""

    on = Day(required=True)
    explanation = Text(maximum=1000, load_default="", minimum=0)
