"""Any sequence of operations on the books against a small model, and any race for a limited account."""

import threading
import uuid
from collections import defaultdict
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from marketplace import db
from marketplace.actor import SYSTEM
from settlement import ledger, periods, trial_balance
from settlement.domain import ledger as books
from settlement.domain.ledger import AccountOverdrawn, AlreadyReversed, Line
from tests.conftest import NOW
from tests.settlement.money.test_ledger import DAY

KEYS = ["bank", "commission", *(f"deposits:{uuid.UUID(int=n)}" for n in (1, 2)), f"in_payment:{uuid.UUID(int=3)}"]
AMOUNTS = st.one_of(st.integers(1, 3), st.integers(1, 10**15))
POST = st.tuples(
    st.just("post"),
    st.lists(st.tuples(st.sampled_from(KEYS), AMOUNTS), min_size=1, max_size=4),
    st.sampled_from(KEYS),
    st.sampled_from(["CNY", "EUR"]),
)
OPERATIONS = st.lists(
    st.one_of(
        POST,
        POST,
        POST,
        st.tuples(st.just("again"), st.integers(0, 30)),
        st.tuples(st.just("reverse"), st.integers(0, 30)),
        st.tuples(st.just("tomorrow")),
        st.tuples(st.just("close")),
        st.tuples(st.just("late")),
    ),
    max_size=16,
)


class Books:
    """The product and a dictionary side by side: what is posted in one is posted in the other, or refused by both."""

    def __init__(self, session) -> None:
        self.session, self.at, self.closed = session, NOW, None
        self.model: dict[tuple[str, str], int] = defaultdict(int)
        self.by_day: dict[tuple[date, str, str], int] = defaultdict(int)
        self.entries: list[tuple[uuid.UUID, list[Line], str]] = []
        self.reversed: set[uuid.UUID] = set()
        self.history: list[tuple] = []

    @property
    def day(self) -> date:
        return DAY + (self.at - NOW)

    def fits(self, lines: list[Line], currency: str) -> bool:
        """Whether no limited account that is debited would owe less than nothing."""
        after = dict(self.model)
        for line in lines:
            after[line.account, currency] = after.get((line.account, currency), 0) + line.amount_minor
        return not any(
            books.account_type(line.account).limited and line.amount_minor > 0 and after[line.account, currency] > 0
            for line in lines
        )

    def keep(self, entry, lines: list[Line], currency: str) -> None:
        for line in lines:
            self.model[line.account, currency] += line.amount_minor
            self.by_day[entry.posted_on, line.account, currency] += line.amount_minor
        self.entries.append((entry.id, lines, currency))

    def post(self, debits: list[tuple[str, int]], credit: str, currency: str, at=None) -> None:
        lines = [Line(key, amount) for key, amount in debits] + [Line(credit, -sum(amount for _, amount in debits))]
        draft = ledger.Draft("test", uuid.uuid4(), "", lines, currency, DAY)
        is_open = self.closed is None or (at or self.at) > self.closed
        if not is_open or not self.fits(lines, currency):
            with pytest.raises(IntegrityError), self.session.begin_nested():
                ledger.post_all(self.session, [draft], actor=SYSTEM, at=at or self.at)
            return
        self.keep(ledger.post_all(self.session, [draft], actor=SYSTEM, at=at or self.at)[0], lines, currency)

    def do(self, verb: str, *given) -> None:
        if verb == "post":
            self.post(*given)
        elif verb == "late":
            self.post([("bank", 1)], "commission", "CNY", at=NOW)
        elif verb == "tomorrow":
            self.at += timedelta(days=1)
        elif verb == "close":
            periods.close_days(self.session, actor=SYSTEM, at=self.at)
            if self.entries:
                self.closed = self.at - timedelta(days=1)
        elif self.entries:
            self.take(verb, *self.entries[given[0] % len(self.entries)])

    def take(self, verb: str, entry_id: uuid.UUID, lines: list[Line], currency: str) -> None:
        entry = self.session.get_one(ledger.Entry, entry_id)
        if verb == "again":
            draft = ledger.Draft(
                entry.source_kind, entry.source_id, "other", [Line("bank", 1), Line("vat", -1)], "CNY", DAY
            )
            assert ledger.post_all(self.session, [draft], actor=SYSTEM, at=self.at)[0].id == entry_id
            return
        mirror = [Line(line.account, -line.amount_minor) for line in lines]
        if entry.reverses_id is not None:
            with pytest.raises(AlreadyReversed):
                self.reverse(entry_id)
        elif entry_id in self.reversed:
            self.reverse(entry_id)
        elif self.fits(mirror, currency):
            self.keep(self.reverse(entry_id), mirror, currency)
            self.reversed.add(entry_id)
        else:
            with pytest.raises(IntegrityError), self.session.begin_nested():
                self.reverse(entry_id)

    def reverse(self, entry_id: uuid.UUID):
        return ledger.reverse(self.session, entry_id=entry_id, reason="x", value_on=DAY, actor=SYSTEM, at=self.at)

    def check(self) -> None:
        """Zero per currency, every balance as the dictionary has it, as of every day; what was written stays."""
        rows = self.session.execute(
            text("SELECT p.entry_id, p.line, p.account_id, p.amount_minor, e.posted_at FROM postings p"
                 " JOIN entries e ON e.id = p.entry_id ORDER BY e.posted_at, p.entry_id, p.line")
        ).all()  # fmt: skip
        assert set(map(tuple, self.history)) <= set(map(tuple, rows))
        self.history = rows
        found = {(row.key, row.currency): row.balance_minor for row in ledger.balances(self.session)}
        assert {key: minor for key, minor in found.items() if minor} == {
            key: minor for key, minor in self.model.items() if minor
        }
        assert all(not total.balance for total in trial_balance.trial_balance(self.session).totals)
        for key, currency in self.model:
            before = sum(
                minor for (day, *place), minor in self.by_day.items() if tuple(place) == (key, currency) and day <= DAY
            )
            assert ledger.balance(self.session, key, currency=currency, posted_on=DAY) == before


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=OPERATIONS)
def test_the_books_equal_a_small_model(sessions, operations) -> None:
    with sessions() as session:
        world = Books(session)
        for operation in operations:
            world.do(*operation)
        world.check()
        assert periods.verify(session).agrees
        session.rollback()


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(held=st.integers(1, 100), wanted=st.lists(st.integers(1, 100), min_size=2, max_size=4))
def test_a_race_for_a_limited_account_never_overdraws_it(sessions, held, wanted) -> None:
    """Real connections at once: what was taken is what some order of them would have taken, the rest is refused."""
    deposit = books.deposits(uuid.uuid4())
    together, outcomes, reasons = threading.Barrier(len(wanted)), [], {AccountOverdrawn}

    def debit(amount: int, credit: str) -> None:
        draft = ledger.Draft(
            "test", uuid.uuid4(), "", books.transfer(debit=deposit, credit=credit, amount_minor=amount), "CNY", DAY
        )
        with sessions() as session:
            together.wait()
            try:
                ledger.post_all(session, [draft], actor=SYSTEM, at=NOW)
                session.commit()
                outcomes.append(amount)
            except IntegrityError as error:
                session.rollback()
                reasons.add(type(db.explain(error)))

    with sessions.begin() as session:
        lines = books.transfer(debit="bank", credit=deposit, amount_minor=held)
        ledger.post_all(session, [ledger.Draft("test", uuid.uuid4(), "", lines, "CNY", DAY)], actor=SYSTEM, at=NOW)
        ledger.open_accounts(session, {("commission", "CNY")}, at=NOW)
    threads = [threading.Thread(target=debit, args=(amount, "commission")) for amount in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with sessions() as session:
        assert ledger.credit(session, deposit, currency="CNY") == held - sum(outcomes) >= 0
    assert reasons == {AccountOverdrawn}
    left = held - sum(outcomes)
    refused = list(wanted)
    for amount in outcomes:
        refused.remove(amount)
    assert all(amount > left for amount in refused), "nobody is refused what was there to the end"
