"""Whatever happens to deposits, in whatever order: the books equal a small model and nobody is paid twice."""

import dataclasses
import uuid
from collections import defaultdict
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from auctions.models import Registration
from marketplace.actor import SYSTEM
from settlement import bank, deposits, ledger, payments
from settlement.domain.bank_csv import CsvProfile
from settlement.domain.orders import PaymentOrderState
from settlement.models import PaymentOrder
from tests.conftest import NOW
from tests.settlement.money.conftest import Statement, register

REQUIRED = 1_000
PAY, RELEASE, APPLY, CANCEL, SETTLE = "pay", "release", "apply", "cancel", "settle"
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from([PAY, PAY, RELEASE, APPLY, CANCEL, SETTLE]),
        st.integers(0, 1),
        st.one_of(st.integers(1, 2_500), st.sampled_from([REQUIRED - 1, REQUIRED, 1])),
        st.sampled_from(["111", "222"]),
    ),
    max_size=14,
)


@dataclass
class Model:
    """What a careful clerk would write on paper."""

    bank: int = 0
    unapplied: int = 0
    receivable: int = 0
    held: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    spent: set[int] = field(default_factory=set)
    refunds: dict[uuid.UUID, tuple[int, int]] = field(default_factory=dict)
    came: dict[tuple[int, str], int] = field(default_factory=lambda: defaultdict(int))

    def pay(self, who: int, amount: int, account: str) -> None:
        taken = 0 if who in self.spent else min(amount, REQUIRED - self.held[who])
        self.bank += amount
        self.held[who] += taken
        self.unapplied += amount - taken
        self.came[who, account] += taken


class World:
    """The product and the model side by side."""

    def __init__(self, session, store, registrations) -> None:
        self.session, self.store, self.model = session, store, Model()
        self.heads: dict[tuple[str, str], int] = {}
        register(session, "1")
        self.registrations = [session.get_one(Registration, one.id) for one in registrations]

    def import_line(self, amount: int, remittance: str, account: str = "111") -> None:
        paper = Statement("1", "CNY", self.heads)
        paper.line(amount, remittance, account=account)
        bank.import_file(
            self.session,
            store=self.store,
            content=paper.content,
            name="x",
            written_in=None,
            profile=CsvProfile(),
            actor=SYSTEM,
            at=NOW,
        )

    def do(self, verb: str, who: int, amount: int, account: str) -> None:
        registration, model = self.registrations[who], self.model
        if verb == PAY:
            self.import_line(amount, registration.reference, account)
            model.pay(who, amount, account)
        elif verb == RELEASE:
            orders = deposits.release(self.session, registration_id=registration.id, reason="", actor=SYSTEM, at=NOW)
            fresh = {order.id: (who, order.amount_minor) for order in orders if order.id not in model.refunds}
            assert sum(minor for _, minor in fresh.values()) == model.held[who]
            model.refunds.update(fresh)
            model.held[who] = 0
        elif verb == APPLY and model.held[who]:
            applied = min(amount, model.held[who])
            deposits.apply(
                self.session,
                registration_id=registration.id,
                deal_id=uuid.uuid4(),
                amount_minor=applied,
                actor=SYSTEM,
                at=NOW,
            )
            model.held[who] -= applied
            model.receivable += applied
            model.spent.add(who)
        elif verb in {CANCEL, SETTLE} and model.refunds:
            self.finish(verb)
        if any(owner == who for owner, _ in model.refunds.values()):
            model.spent.add(who)
        elif not self.is_spent(who):
            model.spent.discard(who)

    def is_spent(self, who: int) -> bool:
        return deposits.is_spent(self.session, registration_id=self.registrations[who].id)

    def finish(self, verb: str) -> None:
        waiting = [
            order
            for order in (self.session.get_one(PaymentOrder, key) for key in self.model.refunds)
            if order.state is PaymentOrderState.PROPOSED
        ]
        if not waiting:
            return
        order = waiting[0]
        if verb == CANCEL:
            payments.cancel_order(self.session, order_id=order.id, reason="", actor=SYSTEM, at=NOW)
            owner, amount = self.model.refunds.pop(order.id)
            self.model.held[owner] += amount
            if not self.is_spent(owner):
                self.model.spent.discard(owner)
            return
        person = SYSTEM_PERSON
        payments.approve_order(self.session, order_id=order.id, actor=person, at=NOW)
        payments.send_order(self.session, order_id=order.id, actor=person, at=NOW)
        self.import_line(-order.amount_minor, order.reference)
        assert order.state is PaymentOrderState.SETTLED
        self.model.bank -= order.amount_minor

    def check(self) -> None:
        books = {row.key: row.balance_minor for row in ledger.balances(self.session)}
        assert sum(books.values()) == 0

        def total(prefix: str) -> int:
            return sum(amount for key, amount in books.items() if key.startswith(prefix))

        model = self.model
        assert books.get("bank", 0) == model.bank
        assert -total("unapplied:") == model.unapplied
        assert -total("receivable:") == model.receivable
        for who, registration in enumerate(self.registrations):
            assert -books.get(f"deposits:{registration.id}", 0) == model.held[who]
            assert (registration.covered_at is not None) >= (model.held[who] == REQUIRED)
        pending = 0
        paid_back: dict[tuple[int, str], int] = defaultdict(int)
        for key, (who, amount) in model.refunds.items():
            order = self.session.get_one(PaymentOrder, key)
            pending += amount if order.state is PaymentOrderState.PROPOSED else 0
            paid_back[who, order.payee_account] += amount
        assert -total("in_payment:") == pending
        assert all(amount <= model.came[payer] for payer, amount in paid_back.items())


SYSTEM_PERSON = dataclasses.replace(SYSTEM, user_id=uuid.UUID(int=9), name="finance")


@pytest.fixture
def pair(registration) -> tuple[Registration, Registration]:
    return registration(deposit=REQUIRED), registration(deposit=REQUIRED)


@pytest.mark.slow
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=OPERATIONS)
@example(operations=[(PAY, 0, 1000, "111"), (RELEASE, 0, 1, "111"), (CANCEL, 0, 1, "111"), (RELEASE, 0, 1, "111")])
@example(
    operations=[
        (PAY, 0, 900, "111"),
        (PAY, 0, 100, "222"),
        (APPLY, 0, 50, "1"),
        (RELEASE, 0, 1, "1"),
        (SETTLE, 0, 1, "1"),
    ]
)
def test_any_sequence_of_operations(running, sessions, pair, operations) -> None:
    with sessions() as session:
        world = World(session, running.files, pair)
        for operation in operations:
            world.do(*operation)
            world.check()
        session.rollback()
