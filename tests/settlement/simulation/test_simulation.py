"""A seeded day of the market: bidders, a fake bank, workers that die, people that change their minds, in random order.

After every step, whatever it was: sums are zero in every currency, the client-money check is off by exactly what the
bank took without an order, clearing keys are zero or listed, control totals agree, deposits received = applied +
released + forfeited + held (each deposit and all together), and nothing that was written has changed. A failure names
its seed and step.

That it can fail is shown by `test_faults_are_noticed`, a run for each of these faults of the product or its rows:
an entry that is not posted (an order settled, cancelled or returned; a deposit applied or forfeited; a balance
received; a match taken back), a receipt counted one cent too high on its deal, an order raised by a cent, a bank line
changed after it was stored, an entry rewritten by the owner of the tables with its triggers off.
"""

import functools
import io
import random
from typing import Any

import pytest
from sqlalchemy import text

from auctions import award_turns
from marketplace import outbox
from marketplace.actor import SYSTEM
from settlement import client_money, controls, deposit_figures, exceptions, ledger, periods, trial_balance
from tests.settlement.deals.test_defaults import fail, queue

STEPS = 68
MINUTES = 9
"""Of the clock for a step: a day ends on the way, and the sessions of the people last."""


DEEDS = (
    "award", "deliver", "deliver", "deliver", "deliver", "sign", "pay", "pay", "notice", "plan", "third",
    "decide_third", "stray", "again", "refund", "unmatch", "rematch", "approve", "approve", "send", "send",
    "bank_pays", "bank_pays", "bank_returns", "repeat", "cancel", "charge", "explain", "change", "agree", "default",
    "close", "check",
)  # fmt: skip
EURO = "110000002"


class Crash(RuntimeError):
    """A worker died after its work and before its commit."""


class Market:
    """The product, what the fake bank knows, and what a careful clerk remembers."""

    def __init__(self, sale: Any, running: Any, seed: int, *, defaults: bool = False) -> None:
        self.sale, self.running, self.random = sale, running, random.Random(seed)
        self.may_default, self.defaulted = defaults, False
        self.changes: list[tuple[str, int]] = []
        self.euros, self.known_third = 0, False
        self.bag: list[str] = []
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
        """Do one thing that can be done now, each of them before any comes again; return what it was."""
        if not self.bag:
            self.bag = self.random.sample(DEEDS, len(DEEDS))
        name = self.bag.pop()
        self.sale.clock.advance(minutes=MINUTES)
        getattr(self, name)()
        return name

    def award(self) -> None:
        if not self.awarded:
            queue(self.sale)
            self.awarded = True

    def deliver(self) -> None:
        for _ in range(self.random.randint(1, 4)):
            outbox.deliver_one(self.running.sessions, self.subscriptions(), clock=self.running.clock)

    def work(self) -> None:
        """Every event that is due is delivered, and no worker dies."""
        while outbox.deliver_one(self.running.sessions, self.running.subscriptions, clock=self.running.clock):
            pass

    def do(self, *deeds: str) -> None:
        """Do these deeds, one after the other, and look at everything."""
        for deed in deeds:
            getattr(self, deed)()
        self.verify()

    def reopen(self) -> None:
        self.award()
        self.work()

    def lose(self) -> None:
        fail(self.sale)
        self.work()

    def deals(self) -> list[Any]:
        """Deals that stand."""
        return [deal for deal in self.finance.ok("GET", "/deals")["items"] if deal["state"] != "cancelled"]

    def buyer_of(self, deal: Any) -> str:
        mine = deal["buyer_organisation_id"] == str(self.sale.people.buyer.organisation_id)
        return "buyer" if mine else "other_buyer"

    def sign(self) -> None:
        for deal in self.deals():
            buyer = getattr(self.sale.people, self.buyer_of(deal))
            self.sign_as(deal, self.random.choice([self.sale.people.seller, buyer]))

    def sign_as(self, deal: Any, who: Any) -> None:
        """Sign; an award that failed meanwhile takes no signature any more."""
        answer = self.sale.api.as_(who).post(f"/deals/{deal['id']}/sign-contract")
        assert answer.status_code == 200 or (answer.status_code == 409 and self.defaulted), answer.text

    def default(self) -> None:
        """The winner does not keep its word, once, while nothing was distributed."""
        early = {"awaiting_payment", "signed"}
        if not self.may_default or not self.awarded or self.defaulted:
            return
        if all(deal["state"] in early and deal["seller_signed_at"] is None for deal in self.deals()):
            fail(self.sale)
            self.defaulted = True

    def pay(self) -> None:
        """The buyer pays a part, all of it, or too much."""
        for deal in self.deals():
            due = minor(deal["due"])
            amount = self.random.choice([due, due, due // 3 or 1, due + 7])
            if amount:
                self.sale.statement((amount, f"余款 {deal['reference']}", self.buyer_of(deal)))

    def standing(self, deal: Any) -> list[Any]:
        found = self.finance.ok("GET", f"/payment-notices?deal_id={deal['id']}")["items"]
        return [one for one in reversed(found) if one["status"] not in {"paid", "cancelled"}]

    def notice(self) -> None:
        """The buyer pays what its next notice asks for, by its reference or by its cents alone."""
        for deal in self.deals():
            for notice in self.standing(deal)[:1]:
                words = "no reference" if notice["tail"]["amount"] != "0.00" else notice["printed_reference"]
                self.sale.statement((minor(notice["amount"]), words, self.buyer_of(deal)))

    def plan(self) -> None:
        """Finance lets the rest be paid in two parts, each with a cent tail."""
        for deal in self.deals():
            due = minor(deal["due"])
            if due < 2 or deal["state"] not in {"awaiting_payment", "signed"}:
                continue
            found = self.finance.ok("GET", f"/payment-notices?deal_id={deal['id']}")["items"]
            for one in found:
                if one["cancelled_because"] is None:
                    self.finance.ok("POST", f"/payment-notices/{one['id']}/cancel", json={"reason": "in parts"})
            parts = [
                {"amount": money(due // 2), "due_on": "2026-03-10"},
                {"amount": money(due - due // 2), "due_on": "2026-03-20"},
            ]
            body = {"parts": parts, "cent_tail": True}
            self.finance.ok("POST", f"/deals/{deal['id']}/payment-notices", 201, json=body)

    def third(self) -> None:
        """Somebody else pays a part for the buyer: it counts for nothing before two persons say so."""
        for deal in self.deals():
            if minor(deal["due"]) > 100:
                line = self.sale.statement((100, deal["reference"], "母公司"))["items"][0]["lines"][0]
                assert line["finding"] == "third_party_payer" or self.known_third, line

    def decide_third(self) -> None:
        lines = self.finance.ok("GET", "/statement-lines?open=true&finding=third_party_payer")["items"]
        for line in lines[:1]:
            deals = [deal for deal in self.deals() if deal["reference"] in line["remittance"] and minor(deal["due"])]
            url = f"/statement-lines/{line['id']}"
            if not deals or self.random.random() < 0.5:
                self.finance.ok("POST", f"{url}/refund", 201, json={"reason": "to the sender"})
                continue
            upload = {"data": {"file": (io.BytesIO(b"%PDF-1.7"), "x.pdf")}, "content_type": "multipart/form-data"}
            kept = self.finance.ok("POST", f"{url}/documents", 201, **upload)
            body = {"reference": deals[0]["reference"], "document_id": kept["id"], "reason": "the parent company"}
            proposal = self.finance.ok("POST", f"{url}/match", json=body)["proposals"][-1]
            self.admin.ok("POST", f"/match-proposals/{proposal['id']}/approve")
            self.known_third = True

    def unmatch(self) -> None:
        """A person takes a match back; what stands by its nature is refused and nothing changes."""
        lines = self.finance.ok("GET", "/statement-lines?limit=200")["items"]
        found = [match for line in lines for match in line["matches"]]
        if found:
            match = self.random.choice(found)
            answer = self.finance.post(f"/matches/{match['id']}/unmatch", json={"reason": "a mistake"})
            refused = {"match_stands", "payment_stands", "account_overdrawn", "leading", "day_closed"}
            assert answer.status_code == 200 or answer.get_json()["code"] in refused, answer.text

    def rematch(self) -> None:
        """What was taken back is matched with what the text names, where that takes it still."""
        for line in self.finance.ok("GET", "/statement-lines?open=true&finding=unmatched")["items"][:1]:
            named = line["remittance"].split()[-1]
            answer = self.finance.post(f"/statement-lines/{line['id']}/match", json={"reference": named})
            refused = {"does_not_match", "third_party_undocumented", "nothing_to_match"}
            assert answer.status_code == 200 or answer.get_json()["code"] in refused, answer.text

    def bank_returns(self) -> None:
        """The bank sends a payment back whole: its account is closed."""
        paid = self.orders("settled")
        if paid:
            order = self.random.choice(paid)
            back = self.sale.statement((minor(order["amount"]), f"退汇 {order['reference']}", "bank"))
            assert back["items"][0]["lines"][0]["finding"] == "returned"

    def repeat(self) -> None:
        for order in self.orders("returned"):
            answer = self.finance.post(f"/payment-orders/{order['id']}/repeat")
            assert answer.status_code == 201 or answer.get_json()["code"] == "account_overdrawn", answer.text

    def change(self) -> None:
        """Yuan are changed into euros: one line of each account."""
        if not self.euros:
            account = {"bank_name": "工商银行", "holder": "市场运营方", "number": EURO,
                       "opening": {"amount": "0.00", "currency": "EUR"},
                       "four_eyes_above": {"amount": "1.00", "currency": "EUR"}}  # fmt: skip
            self.finance.ok("POST", "/own-accounts", 201, json=account)
        sold = self.sale.statement((-7_00, "FX", "bank"))["items"][0]["lines"][0]["id"]
        self.euros += 1_00
        rows = ["date,amount,balance,remittance,counterparty,counterparty account,reference",
                f"2026-03-02,1.00,{self.euros / 100:.2f},FX,bank,,E{self.euros}"]  # fmt: skip
        file = (io.BytesIO("\n".join(rows).encode()), "euro.csv")
        data = {"file": file, "account": EURO, "currency": "EUR"}
        bought = self.finance.ok("POST", "/bank-statements", 201, data=data)["items"][0]["lines"][0]["id"]
        body = {"sold_line_id": sold, "bought_line_id": bought, "reason": "needed"}
        self.changes.append((self.finance.ok("POST", "/currency-changes", 201, json=body)["id"], 7_00))

    def agree(self) -> None:
        if self.changes:
            change, _ = self.changes[0]
            answer = self.admin.post(f"/currency-changes/{change}/approve")
            if answer.status_code == 200:
                self.changes.pop(0)
            else:
                assert answer.get_json()["code"] == "lines_changed", answer.text

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
        back = [line for line in lines if minor(line["open"]) > 0 and line["amount"]["currency"] == "CNY"]
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
        for turn in range(12):
            self.work()
            for deal in self.deals():
                if minor(deal["due"]):
                    self.sale.statement((minor(deal["due"]), deal["reference"], self.buyer_of(deal)))
                for who in (self.sale.people.seller, getattr(self.sale.people, self.buyer_of(deal))):
                    self.sign_as(deal, who)
            while self.charges:
                self.explain()
            while self.changes:
                self.agree()
            self.settle_forfeitures()
            self.release()
            self.repeat()
            assert self.finance.ok("POST", "/client-money-checks", 201)["items"][0]["passed"]
            self.pay_everything()
            if not turn:
                self.bank_returns()
                self.verify()

    def settle_forfeitures(self) -> None:
        """What was lost is used as soon as the next price is known."""
        for row in self.finance.ok("GET", "/forfeitures")["items"]:
            if row["settled_at"] is None and self.deals():
                body = {"sale_costs": money(1_00), "reason": "the winner defaulted"}
                self.finance.ok("POST", f"/forfeitures/{row['id']}/settle", json=body)

    def release(self) -> None:
        """Finance gives back what came back from the bank or was taken back while it was on its way."""
        for due in self.finance.ok("GET", "/deposit-releases")["items"]:
            if not due["is_proposed"]:
                body = {"reason": "still here"}
                self.finance.ok("POST", f"/registrations/{due['registration_id']}/release-deposit", json=body)

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
                text("SELECT split_part(a.key, ':', 1), split_part(a.key, ':', 2), a.currency, sum(p.amount_minor)"
                     " FROM accounts a JOIN postings p ON p.account_id = a.id GROUP BY a.id"
                     " HAVING sum(p.amount_minor) <> 0")
            ).all()  # fmt: skip
            self.verify_client_money(session, balances)
            self.verify_listed(session, balances)
            self.verify_deposits(session, balances)
            self.verify_history(session)

    def verify_client_money(self, session: Any, balances: Any) -> None:
        lines = dict(session.execute(text("SELECT currency, sum(amount_minor) FROM statement_lines GROUP BY 1")).all())
        taken = {"CNY": sum(amount for _, amount in (*self.charges, *self.changes))}
        for currency, total in lines.items():
            parts = {client_money.BANK_LINES: int(total)}
            for name, _, of, amount in balances:
                if of == currency:
                    parts[name] = parts.get(name, 0) + int(amount)
            figures = client_money.add_up(parts)
            gone = taken.get(currency, 0)
            assert (figures.unexplained, figures.difference) == (gone, -gone), (currency, parts)
        assert {one: int(total) for one, total in lines.items()} == {"CNY": self.sale.head} | (
            {"EUR": self.euros} if self.euros else {}
        )

    def verify_listed(self, session: Any, balances: Any) -> None:
        """What stands on a clearing key is on the list that people work from, with the same amount."""
        page = exceptions.list_lines(session, wanted=exceptions.LineFilter(only_open=True), cursor=None, limit=1000)
        listed = {str(view.line.id): -view.open.minor for view in page.items}
        assert listed == {of: int(minor) for name, of, _, minor in balances if name in {"unapplied", "unexplained"}}
        orders = session.execute(
            text("SELECT id, amount_minor FROM payment_orders WHERE state NOT IN ('settled', 'cancelled', 'returned')")
        )
        assert {str(key): -int(amount) for key, amount in orders} == {
            of: int(minor) for name, of, _, minor in balances if name == "in_payment"
        }

    def verify_deposits(self, session: Any, balances: Any) -> None:
        received, applied, released, forfeited = session.execute(
            text("SELECT (SELECT coalesce(sum(amount_minor), 0) FROM matches m WHERE deposit_id IS NOT NULL"
                 "  AND NOT EXISTS (SELECT FROM match_reversals r WHERE r.match_id = m.id)),"
                 " (SELECT coalesce(sum(amount_minor), 0) FROM postings p JOIN entries e ON e.id = p.entry_id"
                 "  WHERE e.source_kind = 'deposit.applied' AND amount_minor > 0"
                 "  AND NOT EXISTS (SELECT FROM entries r WHERE r.reverses_id = e.id)),"
                 " (SELECT coalesce(sum(amount_minor), 0) FROM payment_orders"
                 "  WHERE state NOT IN ('cancelled', 'returned') AND purpose = 'deposit_refund'),"
                 " (SELECT coalesce(sum(amount_minor - coalesce(returned_minor, 0)), 0) FROM forfeitures)")
        ).one()  # fmt: skip
        held = -sum(int(minor) for name, _, _, minor in balances if name == "deposits")
        assert int(received) == int(applied) + int(released) + int(forfeited) + held
        found = deposit_figures.figures(session, list(self.sale.registrations.values()))
        assert all(one.adds_up for one in found.values()), found
        assert sum(one.received for one in found.values()) == int(received)
        assert sum(one.forfeited for one in found.values()) == int(forfeited)

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


@pytest.fixture(autouse=True)
def fit(monkeypatch) -> None:
    """Whether the next in line may still buy is a question of auctions, and tested there."""
    monkeypatch.setattr(award_turns, "_unfit", lambda *_, **__: None)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "defaults"), [(3, False), (20260302, True), (11, True)])
def test_a_day_of_the_market(sale, running, seed: int, defaults: bool) -> None:
    market = Market(sale, running, seed, defaults=defaults)
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
    assert market.orders("sent") == market.orders("proposed") == []
    assert market.crashes >= 1
    assert market.orders("returned"), "one at least came back, and was paid again"
    assert len(market.finance.ok("GET", "/forfeitures")["items"]) == int(market.defaulted)


def skip(kind: str) -> Any:
    """A product that forgets an entry of one kind."""

    def seed(market: Market, monkeypatch: Any) -> None:
        post = ledger.post

        def forgetful(session: Any, *, source_kind: str, **more: Any) -> Any:
            return None if source_kind == kind else post(session, source_kind=source_kind, **more)

        monkeypatch.setattr(ledger, "post", forgetful)

    return seed


def rewrite(*statements: str) -> Any:
    """An owner of the tables who turns the triggers off and changes rows."""

    def seed(market: Market, monkeypatch: Any) -> None:
        with market.running.sessions.begin() as session:
            for statement in statements:
                session.execute(text(statement))

    return seed


def without_triggers(table: str, change: str) -> Any:
    return rewrite(f"ALTER TABLE {table} DISABLE TRIGGER USER", change, f"ALTER TABLE {table} ENABLE TRIGGER USER")


FAULTS = {
    "settled": (skip("payment_order.settled"), ("bank_pays",)),
    "cancelled": (skip("payment_order.cancelled"), ("stray", "refund", "cancel")),
    "returned": (skip("payment_order.returned"), ("bank_pays", "bank_returns")),
    "applied": (skip("deposit.applied"), ("reopen",)),
    "forfeited": (skip("deposit.forfeited"), ("lose",)),
    "received": (skip("deal.payment_received"), ("pay",)),
    "counted": (without_triggers("deals", "UPDATE deals SET received_minor = received_minor + 1"), ()),
    "raised": (without_triggers("payment_orders", "UPDATE payment_orders SET amount_minor = amount_minor + 1"), ()),
    "line": (without_triggers("statement_lines", "UPDATE statement_lines SET amount_minor = amount_minor + 1"), ()),
    "entry": (without_triggers("entries", "UPDATE entries SET description = 'x'"), ()),
    "unmatched": (rewrite("INSERT INTO match_reversals SELECT uuidv7(), m.id, e.id, 'x', NULL, 'x', now()"
                          " FROM matches m JOIN entries e ON e.source_id = m.id"), ()),
}  # fmt: skip
"""A fault, and the deeds after which it shows at the latest."""


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_noticed(sale, running, monkeypatch, fault: str) -> None:
    seed, deeds = FAULTS[fault]
    market = Market(sale, running, 1, defaults=True)
    if fault != "applied":
        market.award()
        market.work()
        market.approve()
        market.send()
    market.verify()
    seed(market, monkeypatch)
    with pytest.raises(AssertionError):
        market.do(*deeds)
