"""A seeded day of the market: bidders, a fake bank, workers that die, people that change their minds, in random order.

After every step, whatever it was: sums are zero in every currency, the client-money check is off by exactly what the
bank took without an order, clearing keys are zero or listed, control totals agree, deposits received = applied +
released + forfeited + held, and nothing that was written has changed. A failure names its seed and step.
"""

import functools
import random
from typing import Any

import pytest
from sqlalchemy import text

from marketplace import outbox
from marketplace.actor import SYSTEM
from settlement import client_money, controls, exceptions, periods, trial_balance
from settlement.domain.ledger import CHART

STEPS = 50
MINUTES = 11
"""Of the clock for a step: a day ends on the way, and the sessions of the people last."""


DEEDS = (
    "award", "deliver", "deliver", "deliver", "deliver", "sign", "pay", "pay", "stray", "again", "refund", "approve",
    "approve", "send", "send", "bank_pays", "bank_pays", "cancel", "charge", "explain", "close", "check",
)  # fmt: skip


class Crash(RuntimeError):
    """A worker died after its work and before its commit."""


class Market:
    """The product, what the fake bank knows, and what a careful clerk remembers."""

    def __init__(self, sale: Any, running: Any, seed: int) -> None:
        self.sale, self.running, self.random = sale, running, random.Random(seed)
        self.finance, self.admin = sale.api.as_(sale.people.finance), sale.api.as_(sale.people.admin)
        self.charges: list[tuple[str, int]] = []
        self.paid: set[str] = set()
        self.awarded, self.crashes = False, 0
        self.history: dict[tuple, tuple] = {}

    def subscriptions(self) -> tuple[outbox.Subscription, ...]:
        """Every subscription of the product; each call may be the worker's last."""

        def mortal(handler: Any) -> Any:
            @functools.wraps(handler)
            def call(session: Any, payload: Any, at: Any) -> None:
                handler(session, payload, at)
                if not self.crashes or self.random.random() < 0.5:
                    self.crashes += 1
                    raise Crash

            return call

        return tuple(outbox.Subscription(one.event, mortal(one.handler)) for one in self.running.subscriptions)

    def step(self) -> str:
        """Do one thing that can be done now; return what it was."""
        name = self.random.choice(DEEDS)
        self.sale.clock.advance(minutes=MINUTES)
        getattr(self, name)()
        return name

    def award(self) -> None:
        if not self.awarded:
            self.sale.award()
            self.awarded = True

    def deliver(self) -> None:
        for _ in range(self.random.randint(1, 4)):
            outbox.deliver_one(self.running.sessions, self.subscriptions(), clock=self.running.clock)

    def deals(self) -> list[Any]:
        return self.finance.ok("GET", "/deals")["items"]

    def sign(self) -> None:
        who = self.random.choice([self.sale.people.seller, self.sale.people.buyer])
        for deal in self.deals():
            self.sale.api.as_(who).ok("POST", f"/deals/{deal['id']}/sign-contract")

    def pay(self) -> None:
        """The buyer pays a part, all of it, or too much."""
        for deal in self.deals():
            due = minor(deal["due"])
            amount = self.random.choice([due, due, due // 3 or 1, due + 7])
            if amount:
                self.sale.statement((amount, f"余款 {deal['reference']}", "buyer"))

    def stray(self) -> None:
        """Money that nobody knows what it is for, and a deposit that is paid twice."""
        self.sale.statement((12_34, "no reference", "third_buyer"))
        self.sale.statement((100_00, self.sale.references["third_buyer"], "third_buyer"))

    def again(self) -> None:
        """A client that never got its answer asks again under the same key."""
        key = f"again-{self.random.random()}"
        first = self.finance.ok("POST", "/client-money-checks", 201, key=key)
        assert self.finance.ok("POST", "/client-money-checks", 201, key=key) == first

    def refund(self) -> None:
        lines = self.finance.ok("GET", "/statement-lines?open=true")["items"]
        back = [line for line in lines if minor(line["open"]) > 0]
        if back:
            line = self.random.choice(back)
            self.finance.ok("POST", f"/statement-lines/{line['id']}/refund", 201, json={"reason": "back"})

    def orders(self, state: str) -> list[Any]:
        return self.finance.ok("GET", f"/payment-orders?state={state}")["items"]

    def move(self, state: str, verb: str, client: Any, **more: Any) -> None:
        """Move an order; refused only while the client-money check fails."""
        orders = [one for one in self.orders(state) if verb != "cancel" or one["purpose"] != "payout"]
        if orders:
            answer = client.post(f"/payment-orders/{self.random.choice(orders)['id']}/{verb}", **more)
            if answer.status_code != 200:
                assert answer.get_json()["code"] == "client_money_check_failed", answer.text

    def approve(self) -> None:
        self.move("proposed", "approve", self.admin)

    def send(self) -> None:
        self.move("approved", "send", self.finance)

    def cancel(self) -> None:
        self.move("proposed", "cancel", self.finance, json={"reason": "not now"})

    def bank_pays(self) -> None:
        waiting = [order for order in self.orders("sent") if order["id"] not in self.paid]
        if waiting:
            order = self.random.choice(waiting)
            self.paid.add(order["id"])
            self.sale.statement((-minor(order["amount"]), order["reference"], "payee"))

    def charge(self) -> None:
        answer = self.sale.statement((-5_00, "fee", "bank"))
        line = answer["items"][0]["lines"][0]
        self.charges.append((line["id"], 5_00))

    def explain(self) -> None:
        """Two persons book what the bank took for its work."""
        if self.charges:
            line, amount = self.charges.pop(0)
            lines = [
                {"account": "bank_charges", "amount": money(amount)},
                {"account": f"unexplained:{line}", "amount": money(-amount)},
            ]
            body = {"lines": lines, "value_on": "2026-03-02", "reason": "the bank's fee"}
            proposed = self.finance.ok("POST", "/ledger-corrections", 201, json=body)
            self.admin.ok("POST", f"/ledger-corrections/{proposed['id']}/approve")

    def close(self) -> None:
        with self.running.sessions.begin() as session:
            periods.close_days(session, actor=SYSTEM, at=self.sale.clock.now())

    def check(self) -> None:
        with self.running.sessions.begin() as session:
            client_money.check_due(session, self.sale.clock.now())

    def settle_down(self) -> None:
        """Whatever is left is finished: all events delivered, all charges explained, every order paid."""
        self.award()
        self.running.clock.advance(hours=1)
        for _ in range(8):
            while outbox.deliver_one(self.running.sessions, self.running.subscriptions, clock=self.running.clock):
                pass
            for deal in self.deals():
                if minor(deal["due"]):
                    self.sale.statement((minor(deal["due"]), deal["reference"], "buyer"))
            for who in (self.sale.people.seller, self.sale.people.buyer):
                for deal in self.deals():
                    self.sale.api.as_(who).ok("POST", f"/deals/{deal['id']}/sign-contract")
            while self.charges:
                self.explain()
            assert self.finance.ok("POST", "/client-money-checks", 201)["items"][0]["passed"]
            self.pay_everything()

    def pay_everything(self) -> None:
        for order in self.orders("proposed"):
            self.admin.ok("POST", f"/payment-orders/{order['id']}/approve")
        for order in self.orders("approved"):
            self.finance.ok("POST", f"/payment-orders/{order['id']}/send")
        while [order for order in self.orders("sent") if order["id"] not in self.paid]:
            self.bank_pays()

    def verify(self) -> None:
        """Everything that holds after every step."""
        with self.running.sessions() as session:
            for total in trial_balance.trial_balance(session).totals:
                assert not total.balance
            for control in controls.control_totals(session):
                assert not control.difference, control
            balances = session.execute(
                text("SELECT split_part(a.key, ':', 1), split_part(a.key, ':', 2), sum(p.amount_minor) FROM accounts a"
                     " JOIN postings p ON p.account_id = a.id GROUP BY a.id HAVING sum(p.amount_minor) <> 0")
            ).all()  # fmt: skip
            self.verify_client_money(session, balances)
            self.verify_listed(session, balances)
            self.verify_deposits(session, balances)
            self.verify_history(session)

    def verify_client_money(self, session: Any, balances: Any) -> None:
        parts = dict.fromkeys(CHART, 0)
        for name, _, amount in balances:
            parts[name] += int(amount)
        lines = session.scalar(text("SELECT coalesce(sum(amount_minor), 0) FROM statement_lines"))
        figures = client_money.add_up(parts | {client_money.BANK_LINES: int(lines)})
        taken = sum(amount for _, amount in self.charges)
        assert (figures.unexplained, figures.difference) == (taken, -taken)
        assert int(lines) == self.sale.head

    def verify_listed(self, session: Any, balances: Any) -> None:
        """What stands on a clearing key is on the list that people work from, with the same amount."""
        page = exceptions.list_lines(session, wanted=exceptions.LineFilter(only_open=True), cursor=None, limit=1000)
        listed = {str(view.line.id): -view.open.minor for view in page.items}
        assert listed == {of: int(minor) for name, of, minor in balances if name in {"unapplied", "unexplained"}}
        orders = session.execute(
            text("SELECT id, amount_minor FROM payment_orders WHERE state NOT IN ('settled', 'cancelled')")
        )
        assert {str(key): -int(amount) for key, amount in orders} == {
            of: int(minor) for name, of, minor in balances if name == "in_payment"
        }

    def verify_deposits(self, session: Any, balances: Any) -> None:
        received, applied, released, forfeited = session.execute(
            text("SELECT (SELECT coalesce(sum(amount_minor), 0) FROM matches WHERE deposit_id IS NOT NULL),"
                 " (SELECT coalesce(sum(amount_minor), 0) FROM postings p JOIN entries e ON e.id = p.entry_id"
                 "  WHERE e.source_kind = 'deposit.applied' AND amount_minor > 0"
                 "  AND NOT EXISTS (SELECT FROM entries r WHERE r.reverses_id = e.id)),"
                 " (SELECT coalesce(sum(amount_minor), 0) FROM payment_orders WHERE state <> 'cancelled'"
                 "  AND purpose = 'deposit_refund'),"
                 " (SELECT coalesce(sum(amount_minor), 0) FROM postings p JOIN entries e ON e.id = p.entry_id"
                 "  WHERE e.source_kind = 'deposit.forfeited' AND amount_minor > 0)")
        ).one()  # fmt: skip
        held = -sum(int(minor) for name, _, minor in balances if name == "deposits")
        assert int(received) == int(applied) + int(released) + int(forfeited) + held

    def verify_history(self, session: Any) -> None:
        rows = session.execute(
            text("SELECT p.entry_id, p.line, p.account_id, p.amount_minor, e.source_kind, e.source_id, e.posted_at,"
                 " e.value_on, e.description FROM postings p JOIN entries e ON e.id = p.entry_id")
        )  # fmt: skip
        now = {tuple(row)[:2]: tuple(row) for row in rows}
        assert self.history.items() <= now.items()
        self.history = now
        assert periods.verify(session).agrees


def minor(amount: dict[str, str]) -> int:
    return int(amount["amount"].replace(".", ""))


def money(amount: int) -> dict[str, str]:
    return {"amount": f"{'-' * (amount < 0)}{abs(amount) // 100}.{abs(amount) % 100:02d}", "currency": "CNY"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 20260302])
def test_a_day_of_the_market(sale, running, seed: int) -> None:
    market = Market(sale, running, seed)
    market.verify()
    done: list[str] = []
    try:
        for number in range(STEPS):
            if number == 5:
                market.award()
            done.append(market.step())
            market.verify()
        market.settle_down()
        market.verify()
    except Exception as error:
        error.add_note(f"seed {seed}, step {len(done)}: {done}")
        raise
    assert {deal["state"] for deal in market.deals()} == {"settled"}
    assert market.orders("sent") == []
    assert market.crashes >= 1
