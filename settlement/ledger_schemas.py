"""What goes in and out of the routes of the books: accounts, entries, days, checks, reversals."""

import marshmallow as ma

from marketplace.fields import Amount, Count, Day, Id, Instant, PageArgs, Schema, Text
from marketplace.money import Money
from settlement.domain.ledger import CHART
from settlement.journal import EntryView

_KEY = "[a-z_]+(:[0-9a-f-]{36})?"


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
