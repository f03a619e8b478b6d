"""The simulated market: clock, desk, bank, cards, Stripe and workers that die, each doing something in random order."""

import functools
import random
from typing import Any

from marketplace import outbox
from tests.settlement.deals.conftest import DEPOSIT
from tests.settlement.deals.test_defaults import fail, queue
from tests.settlement.simulation.cards import Cards
from tests.settlement.simulation.checks import Checks
from tests.settlement.simulation.desk import Desk, minor, money

MINUTES = 6
"""Of the clock for a step: longer than the claim of a dead worker holds; a day ends on the way."""

DEEDS = (
    "deliver", "deliver", "deliver", "deliver", "sign", "pay", "pay", "notice", "plan", "third", "decide_third",
    "stray", "again", "refund", "unmatch", "rematch", "approve", "approve", "approve", "send", "send", "bank_pays",
    "bank_pays", "bank_returns", "repeat", "cancel", "charge", "explain", "change", "agree", "default", "close",
    "check",
)  # fmt: skip
EARLY_DEEDS = ("approve", "approve", "send", "bank_pays", "refund", "stray", "close", "check")
"""What the desk can do before the award: there is no deal yet."""

CARD_DEEDS = (
    "ask_card", "ask_card", "confirm", "confirm", "confirm", "give_up", "wire", "workers", "workers", "workers",
    "workers", "workers", "hear", "hear", "hear", "sweep", "contest", "judge", "give_back", "give_back", "dawdle",
    "end_refunds", "end_refunds", "lag", "bill", "charge_by_hand", "pay_out", "end_payout", "show_payout",
    "match_payout",
)  # fmt: skip


class Crash(RuntimeError):
    """A worker died after its work and before its commit."""


class Market(Desk, Cards, Checks):
    """The product, what the fake bank and the fake Stripe know, and what a careful clerk remembers."""

    def __init__(
        self, sale: Any, running: Any, stripe: Any, bidders: Any, seed: int, *, defaults: bool = False
    ) -> None:
        self.sale, self.running, self.stripe, self.bidders = sale, running, stripe, bidders
        self.random = random.Random(seed)
        self.may_default, self.defaulted = defaults, False
        self.changes: list[tuple[str, int]] = []
        self.charges: list[tuple[str, int]] = []
        self.euros, self.known_third = 0, False
        self.bag: list[str] = []
        self.finance, self.admin = sale.api.as_(sale.people.finance), sale.api.as_(sale.people.admin)
        self.paid: set[str] = set()
        self.shown: set[str] = set()
        self.by_hand: set[str] = set()
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
            deeds = CARD_DEEDS + (DEEDS if self.awarded else EARLY_DEEDS)
            self.bag = self.random.sample(deeds, len(deeds))
        name = self.bag.pop()
        self.sale.clock.advance(minutes=MINUTES)
        getattr(self, name)()
        return name

    def award(self) -> None:
        """The auction is over: whoever won, or waits in line, has its deposit with us by now."""
        if not self.awarded:
            for name in ("buyer", "other_buyer"):
                held = self.held(name)
                if held < DEPOSIT:
                    self.sale.statement((DEPOSIT - held, self.sale.references[name], name))
            queue(self.sale)
            self.awarded = True

    def held(self, name: str) -> int:
        found = self.finance.ok("GET", "/deposits")["items"]
        mine = [one for one in found if one["registration_id"] == str(self.sale.registrations[name])]
        return sum(minor(one["held"]) for one in mine)

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
            self.settle_cards()
            self.settle_forfeitures()
            self.release()
            self.repeat()
            self.refund_by_wire()
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
        for order in self.wires("approved"):
            self.finance.ok("POST", f"/payment-orders/{order['id']}/send")
        while [order for order in self.wires("sent") if order["id"] not in self.paid]:
            self.bank_pays()
        self.run_errands()
