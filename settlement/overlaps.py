"""Which lines of a file are new: what earlier files brought is known by its identity and by the account's balance.

Held against the account statement by statement, as the file brings them; the rule is `domain.account_chain.repeated`.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import date

from sqlalchemy import ARRAY, CHAR, any_, bindparam, func, select
from sqlalchemy.orm import Session

from marketplace.money import Money
from settlement.bank_models import OwnAccount
from settlement.domain.account_chain import repeated
from settlement.domain.statements import LineIdentity, ParsedLine, ParsedStatement, identify
from settlement.models import BankStatement, StatementLine

NewLine = tuple[int, ParsedLine, LineIdentity]
"""The place of a line in its statement, counted from one, the line, and which it is."""


class Overlaps:
    """The lines of one file against what is stored, loaded once; accounts by number and currency as the file has them.

    The caller holds the accounts, so that nobody stores lines meanwhile.
    """

    def __init__(
        self, session: Session, parsed: Sequence[ParsedStatement], accounts: Mapping[tuple[str, str], OwnAccount]
    ) -> None:
        self._session = session
        self._parsed = parsed
        self._accounts = [accounts[one.account, one.currency] for one in parsed]
        self._identities = self._identify()
        self._stored = {account.id: self._load(account) for account in self._accounts}
        self._taken = {account_id: set(stored) for account_id, stored in self._stored.items()}

    def new_lines(self, position: int, *, head: Money) -> list[NewLine]:
        """Return the lines of a statement of the file, counted from one, that are new where the account stands."""
        statement, account = self._parsed[position - 1], self._accounts[position - 1]
        mine, stored = self._identities[position - 1], self._stored[account.id]
        known = [identity in stored for identity in mine]
        if any(known):
            newest_on = self._newest(account)
            told = repeated(statement, mine, stored=stored, head=head, newest_on=newest_on)
            known = known if told != known and self._was_taken_in(account, statement) else told
        return [
            (number, line, self._take(account.id, identity))
            for number, (line, identity, is_known) in enumerate(zip(statement.lines, mine, known, strict=True), start=1)
            if not is_known
        ]

    def _take(self, account_id: uuid.UUID, wanted: LineIdentity) -> LineIdentity:
        """Give a new line its identity: the next occurrence that no line of the account has."""
        taken = self._taken[account_id]
        while wanted in taken:
            wanted = LineIdentity(wanted.fingerprint, wanted.occurrence + 1)
        taken.add(wanted)
        return wanted

    def _identify(self) -> list[list[LineIdentity]]:
        """Identify the lines of the whole file, account by account: two statements of one account count on."""
        result: list[list[LineIdentity]] = [[] for _ in self._parsed]
        for account in {account.id: account for account in self._accounts}.values():
            mine = [n for n, other in enumerate(self._accounts) if other.id == account.id]
            identities = iter(identify(account.number, [line for n in mine for line in self._parsed[n].lines]))
            for n in mine:
                result[n] = [next(identities) for _ in self._parsed[n].lines]
        return result

    def _load(self, account: OwnAccount) -> set[LineIdentity]:
        """Return every stored identity of an account that looks like a line of the file."""
        wanted = {
            identity.fingerprint
            for other, mine in zip(self._accounts, self._identities, strict=True)
            if other.id == account.id
            for identity in mine
        }
        rows = self._session.execute(
            select(StatementLine.fingerprint, StatementLine.occurrence).where(
                StatementLine.account_number == account.number,
                StatementLine.currency == account.currency,
                StatementLine.fingerprint == any_(bindparam(None, list(wanted), ARRAY(CHAR(64)))),
            )
        )
        return {LineIdentity(fingerprint, occurrence) for fingerprint, occurrence in rows}

    def _newest(self, account: OwnAccount) -> date | None:
        """Return the last day on which a stored line of an account was booked."""
        return self._session.scalar(
            select(func.max(StatementLine.booked_on)).where(
                StatementLine.account_number == account.number, StatementLine.currency == account.currency
            )
        )

    def _was_taken_in(self, account: OwnAccount, statement: ParsedStatement) -> bool:
        """Say whether a statement of the same name, balances and number of lines was: the same one downloaded again."""
        opening, closing = statement.opening, statement.closing
        query = select(BankStatement.id).where(
            BankStatement.own_account_id == account.id,
            BankStatement.reference == statement.reference,
            BankStatement.number.is_not_distinct_from(statement.number),
            BankStatement.page.is_not_distinct_from(statement.page),
            BankStatement.opening_minor.is_not_distinct_from(opening.minor if opening is not None else None),
            BankStatement.closing_minor.is_not_distinct_from(closing.minor if closing is not None else None),
            BankStatement.line_count == len(statement.lines),
        )
        return self._session.scalars(query.limit(1)).first() is not None
