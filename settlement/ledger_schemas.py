"""What goes in and out of the routes of the books: accounts, entries, corrections, closed days, checks."""

import marshmallow as ma

from marketplace.fields import Amount, Choice, Count, Day, Id, Instant, PageArgs, Schema, Text
from marketplace.money import EXPONENTS, Money
from settlement.client_money import parts_of
from settlement.domain.corrections import CorrectionState
from settlement.domain.ledger import CHART
from settlement.journal import DateKind, EntryView
from settlement.ledger_models import ClientMoneyCheck, Correction
from settlement.ledger_papers import FileKind
from settlement.words import Language

_KEY = "[a-z_]+(:[0-9a-f-]{36})?"
_CURRENCIES = sorted(EXPONENTS)


class AccountArgs(Schema):
    """Which accounts, as of the end of which value and posting date; `after` is `next` of the page before."""

    prefix = Text(maximum=60, load_default="", minimum=0)
    value_on = Day(load_default=None)
    posted_on = Day(load_default=None)
    after = Text(maximum=60, load_default="", minimum=0)
    limit = Count(minimum=1, maximum=1000, load_default=200, from_text=True)


class AccountOut(Schema):
    """An account of the books; `balance`: debit +, credit −."""

    key = ma.fields.String(required=True)
    meaning = ma.fields.Function(lambda account: CHART[account.key.partition(":")[0]].meaning, required=True)
    balance = Amount(required=True)


class AccountsOut(Schema):
    """Accounts in order of key."""

    items = ma.fields.List(ma.fields.Nested(AccountOut), required=True)
    next = ma.fields.String(required=True, allow_none=True)


class EntryArgs(PageArgs):
    """Which entries: those that touch an account."""

    account = Text(maximum=60, pattern=_KEY, load_default=None)


class EntryLineOut(Schema):
    """A line of an entry; `amount`: debit +, credit −."""

    account = ma.fields.String(required=True)
    amount = Amount(required=True)


class EntryOut(Schema):
    """An entry of the books with its lines."""

    id = Id(required=True, attribute="entry.id")
    source_kind = ma.fields.String(required=True, attribute="entry.source_kind")
    source_id = Id(required=True, attribute="entry.source_id")
    description = ma.fields.String(required=True, attribute="entry.description")
    value_on = Day(required=True, attribute="entry.value_on")
    posted_on = Day(required=True, attribute="entry.posted_on")
    posted_at = Instant(required=True, attribute="entry.posted_at")
    posted_by = ma.fields.String(required=True, attribute="entry.posted_by")
    reverses_id = Id(required=True, allow_none=True, attribute="entry.reverses_id")
    lines = ma.fields.Method("_lines", required=True)

    def _lines(self, view: EntryView) -> list[dict[str, object]]:
        return [
            EntryLineOut().dump({"account": line.account, "amount": Money(line.amount_minor, view.entry.currency)})
            for line in view.lines
        ]


class LedgerFileArgs(Schema):
    """What a file is written as, in which language."""

    format = Choice(FileKind, required=True)
    language = Choice(Language, load_default=Language.EN)


class StatementOfAccountArgs(Schema):
    """Which lines: of a currency, by posting or value date, between two days (inclusive), after a cursor."""

    currency = ma.fields.String(validate=ma.validate.OneOf(_CURRENCIES), required=True)
    by = Choice(DateKind, load_default=DateKind.POSTING)
    from_on = Day(load_default=None)
    to_on = Day(load_default=None)
    cursor = Text(maximum=120, load_default=None)
    limit = Count(minimum=1, maximum=1000, load_default=200, from_text=True)


class StatementOfAccountFileArgs(LedgerFileArgs):
    """Which lines, at most ten thousand: as of the statement itself."""

    currency = ma.fields.String(validate=ma.validate.OneOf(_CURRENCIES), required=True)
    by = Choice(DateKind, load_default=DateKind.POSTING)
    from_on = Day(load_default=None)
    to_on = Day(load_default=None)


class StatementOfAccountRowOut(Schema):
    """A line; `balance` is what stood there after it."""

    entry_id = Id(required=True, attribute="entry.id")
    posted_on = Day(required=True, attribute="entry.posted_on")
    value_on = Day(required=True, attribute="entry.value_on")
    source_kind = ma.fields.String(required=True, attribute="entry.source_kind")
    source_id = Id(required=True, attribute="entry.source_id")
    description = ma.fields.String(required=True, attribute="entry.description")
    amount = Amount(required=True)
    balance = Amount(required=True)


class StatementOfAccountOut(Schema):
    """A statement of account; debit +, credit −."""

    key = ma.fields.String(required=True)
    opening = Amount(required=True)
    rows = ma.fields.List(ma.fields.Nested(StatementOfAccountRowOut), required=True)
    closing = Amount(required=True)
    next = ma.fields.String(required=True, allow_none=True)


class TrialBalanceArgs(Schema):
    """As of the end of which value and posting date."""

    value_on = Day(load_default=None)
    posted_on = Day(load_default=None)


class TrialBalanceFileArgs(LedgerFileArgs):
    """As of the end of which value and posting date, in which language."""

    value_on = Day(load_default=None)
    posted_on = Day(load_default=None)


class TrialRowOut(Schema):
    """What was posted to one name of the chart in one currency."""

    name = ma.fields.String(required=True)
    meaning = ma.fields.Function(lambda row: CHART[row.name].meaning, required=True)
    accounts = Count(required=True)
    debit = Amount(required=True)
    credit = Amount(required=True)
    balance = Amount(required=True)


class TrialTotalOut(Schema):
    """A whole currency: the balance is zero."""

    debit = Amount(required=True)
    credit = Amount(required=True)
    balance = Amount(required=True)


class TrialBalanceOut(Schema):
    """Rows in order of currency and name, and a total for each currency."""

    value_on = Day(required=True, allow_none=True)
    posted_on = Day(required=True, allow_none=True)
    rows = ma.fields.List(ma.fields.Nested(TrialRowOut), required=True)
    totals = ma.fields.List(ma.fields.Nested(TrialTotalOut), required=True)


class CorrectionLineIn(Schema):
    """A line; `amount`: debit +, credit −, in the currency of the correction."""

    account = Text(maximum=60, pattern=_KEY, required=True)
    amount = Amount(required=True, signed=True)


class CorrectionIn(Schema):
    """An entry of one's own: lines in one currency that add up to zero, and why."""

    lines = ma.fields.List(ma.fields.Nested(CorrectionLineIn), required=True, validate=ma.validate.Length(2, 40))
    value_on = Day(required=True)
    reason = Text(maximum=500, required=True)


class ReversalIn(Schema):
    """Why an entry is taken back, and of which value date, the entry's own unless given."""

    reason = Text(maximum=500, required=True)
    value_on = Day(load_default=None)


class CorrectionArgs(PageArgs):
    """Which corrections."""

    state = Choice(CorrectionState, load_default=None)


class CorrectionOut(Schema):
    """A correction; `entry_id` once it is posted."""

    id = Id(required=True)
    state = Choice(CorrectionState, required=True)
    reverses_id = Id(required=True, allow_none=True)
    lines = ma.fields.Method("_lines", required=True)
    amount = Amount(required=True)
    reason = ma.fields.String(required=True)
    value_on = Day(required=True)
    four_eyes = ma.fields.Boolean(required=True)
    proposed_by = ma.fields.String(required=True)
    proposed_at = Instant(required=True)
    decided_by = ma.fields.String(required=True, allow_none=True)
    decided_at = Instant(required=True, allow_none=True)
    entry_id = Id(required=True, allow_none=True)

    def _lines(self, row: Correction) -> list[dict[str, object]]:
        return [
            EntryLineOut().dump({"account": account, "amount": Money(int(minor), row.currency)})
            for account, minor in row.lines
        ]


class CorrectionLimitIn(Schema):
    """Up to how much one person alone corrects the books, inclusive."""

    limit = Amount(required=True)


class CorrectionLimitOut(Schema):
    """The limit that is in force from now on."""

    id = Id(required=True)
    limit = Amount(required=True)
    created_at = Instant(required=True)
    created_by = ma.fields.String(required=True)


class CloseDaysIn(Schema):
    """Through which day, yesterday unless given."""

    through_on = Day(load_default=None)


class LedgerHeadOut(Schema):
    """A closed day: what anybody needs to hold us to it."""

    number = Count(required=True)
    day = Day(required=True)
    version = Count(required=True)
    previous_hash = ma.fields.String(required=True)
    hash = ma.fields.String(required=True)
    closed_at = Instant(required=True)


class ClosedDayOut(LedgerHeadOut):
    """A closed day with what lies in it."""

    id = Id(required=True)
    entry_count = Count(required=True)
    line_count = Count(required=True)
    closed_by = ma.fields.String(required=True)


class ClosedDaysOut(Schema):
    """Days that were closed now, oldest first."""

    items = ma.fields.List(ma.fields.Nested(ClosedDayOut), required=True)


class LedgerVerificationOut(Schema):
    """What a recomputation of the chain found; `differs_on` is the first day that is not as it was sealed."""

    agrees = ma.fields.Boolean(required=True)
    days = Count(required=True)
    entries = Count(required=True)
    head_day = Day(required=True, allow_none=True)
    head_hash = ma.fields.String(required=True)
    differs_on = Day(required=True, allow_none=True)
    reason = ma.fields.String(required=True)


class ControlTotalOut(Schema):
    """A control account against the rows behind it."""

    name = ma.fields.String(required=True)
    meaning = ma.fields.String(required=True)
    books = Amount(required=True)
    rows = Amount(required=True)
    difference = Amount(required=True)


class ControlTotalsOut(Schema):
    """Every tie in every currency; `agrees`: no difference anywhere."""

    agrees = ma.fields.Boolean(required=True)
    items = ma.fields.List(ma.fields.Nested(ControlTotalOut), required=True)


class ClientMoneyArgs(PageArgs):
    """Which results."""

    currency = ma.fields.String(validate=ma.validate.OneOf(_CURRENCIES), load_default=None)


class ClientMoneyFigureOut(Schema):
    """A figure behind a result: a name of the chart, or `bank_lines`; debit +."""

    name = ma.fields.String(required=True)
    balance = Amount(required=True)


class ClientMoneyCheckOut(Schema):
    """What is held less what is owed and our own; payouts of the currency stop while the newest did not pass."""

    id = Id(required=True)
    day = Day(required=True)
    passed = ma.fields.Boolean(required=True)
    held = Amount(required=True)
    owed = Amount(required=True)
    own = Amount(required=True)
    unexplained = Amount(required=True)
    difference = Amount(required=True)
    figures = ma.fields.Method("_figures", required=True)
    checked_at = Instant(required=True)
    checked_by = ma.fields.String(required=True)

    def _figures(self, row: ClientMoneyCheck) -> list[dict[str, object]]:
        return [ClientMoneyFigureOut().dump({"name": name, "balance": money}) for name, money in parts_of(row)]


class ClientMoneyChecksOut(Schema):
    """A result for each currency."""

    items = ma.fields.List(ma.fields.Nested(ClientMoneyCheckOut), required=True)
