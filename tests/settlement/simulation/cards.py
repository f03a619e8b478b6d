"""The cards' side of the simulated market: payers, Stripe, its events, and workers that die between call and commit."""

from random import Random
from typing import Any

from marketplace import errands
from tests.mortal import POINTS, mortal
from tests.settlement.deals.conftest import DEPOSIT
from tests.stripe_double import StripeDouble

UNDECIDED = {"needs_response", "warning_needs_response"}


class Killed(BaseException):
    """A worker is gone: nothing of its own code runs any more."""


class Cards:
    """Deeds of payers, of Stripe and of the workers that ask it. Each does what can be done now, or nothing."""

    sale: Any
    running: Any
    random: Random
    finance: Any
    stripe: StripeDouble
    bidders: dict[str, Any]
    crashes: int
    shown: set[str]
    by_hand: set[str]

    def ask_card(self) -> None:
        """Some bidders ask to pay by card what is missing of their deposits."""
        for name in self.random.sample(list(self.bidders), 4):
            self.ask_of(name)

    def ask_of(self, name: str) -> None:
        url = f"/registrations/{self.sale.registrations[name]}/card-payments"
        answer = self.sale.api.as_(self.bidders[name]).post(url)
        assert answer.status_code == 201 or answer.get_json()["code"] in {"deposit_covered", "deposit_closed"}

    def open_card(self) -> None:
        """The first of the card bidders has an intent for its whole deposit."""
        self.ask_of(next(name for name in self.bidders if name.startswith("Bidder")))
        self.run_errands()

    def pay_by_card(self) -> None:
        """It is charged, and we know it."""
        self.open_card()
        self.stripe.pay(self.intents()[-1]["id"])
        self.catch_up()

    def wire_too(self) -> None:
        """The same bidder pays its whole deposit by wire as well."""
        name = next(name for name in self.bidders if name.startswith("Bidder"))
        self.sale.statement((DEPOSIT, self.sale.references[name], name))

    def confirm_all(self) -> None:
        """Every payer confirms with a good card."""
        for intent in self.intents():
            if intent["status"] not in {"succeeded", "canceled"}:
                self.stripe.pay(intent["id"])

    def lose_contest(self) -> None:
        """Every contest that is open is lost."""
        for dispute in self.stripe.all("dispute"):
            if dispute["status"] in UNDECIDED:
                self.stripe.end_dispute(dispute["id"], "lost")

    def refund_and_die(self) -> None:
        """Its deposit is given back; the worker dies when Stripe has answered, and Stripe forgets the key."""
        name = next(name for name in self.bidders if name.startswith("Bidder"))
        url = f"/registrations/{self.sale.registrations[name]}/release-deposit"
        for order in self.finance.ok("POST", url, json={"reason": "wants it back"})["items"]:
            self.admin.ok("POST", f"/payment-orders/{order['id']}/approve")
        self.run_one("answer")
        self.stripe.answers.clear()
        self.catch_up()

    def confirm(self) -> None:
        """Payers' browsers confirm intents, mostly with a good card."""
        waiting = [one for one in self.intents() if one["status"] not in {"succeeded", "canceled"}]
        for intent in self.random.sample(waiting, min(2, len(waiting))):
            self.stripe.pay(intent["id"], declined=self.random.choice(["", "", "", "card_declined"]))

    def intents(self) -> list[Any]:
        return self.stripe.all("payment_intent")

    def give_up(self) -> None:
        """A buyer does not want to pay by card after all."""
        waiting = self.finance.ok("GET", "/card-payments?state=open")["items"]
        if waiting:
            url = f"/card-payments/{self.random.choice(waiting)['id']}/cancel"
            assert self.finance.post(url).status_code == 202

    def wire(self) -> None:
        """A bidder pays its deposit, or a part of it, by wire: also while a card payment is open."""
        name = self.random.choice(list(self.bidders))
        amount = self.random.choice([DEPOSIT, DEPOSIT * 2 // 3, DEPOSIT // 3, 100_00])
        self.sale.statement((amount, self.sale.references[name], name))

    def workers(self) -> None:
        """Workers run some errands: Stripe may answer badly or have forgotten their keys, each step may be the last."""
        for _ in range(self.random.randint(2, 6)):
            if self.random.random() < 0.2:
                how = self.random.choice(["lost", "before", "busy"])
                self.stripe.fail(self.random.choice(["GET", "POST"]), ".*", how)
            if self.random.random() < 0.2:
                self.stripe.answers.clear()
            last = self.random.choice([*POINTS, *[""] * 8])
            self.run_one(last)

    def run_one(self, last: str = "") -> bool:
        """A worker runs one errand, and dies at the point `last` of it."""

        def at(point: str) -> None:
            if point == last:
                raise Killed

        kinds = {name: mortal(kind, at) for name, kind in self.running.errands.items()}
        try:
            return errands.run_one(self.running.sessions, kinds, clock=self.running.clock)
        except Killed:
            self.crashes += 1
            return True

    def hear(self) -> None:
        """Some events come: in any order, some of them again, some never."""
        for event in self.random.choices(self.stripe.events, k=min(8, len(self.stripe.events))):
            body, headers = self.stripe.signed(event)
            assert self.sale.api.post("/stripe/webhook", data=body, headers=headers).status_code == 200

    def sweep(self) -> None:
        with self.running.sessions.begin() as session:
            self.running.periodic["settlement.sweep_stripe"].run(session, self.running.clock.now())

    def contest(self) -> None:
        """A cardholder contests a payment: what is left of it, a part of that, or all, refunded or not."""
        known = {one["payment_intent"] for one in self.stripe.all("dispute")}
        mine = [one for one in self.intents() if one["status"] == "succeeded" and one["metadata"]]
        paid = [one for one in mine if one["id"] not in known]
        if paid:
            intent = self.random.choice(paid)
            charge = self.stripe.objects[intent["latest_charge"]]
            left = charge["amount"] - charge["amount_refunded"]
            amount = self.random.choice([left, left // 2, charge["amount"]]) or charge["amount"]
            self.stripe.dispute(intent["id"], amount=amount, inquiry=self.random.random() < 0.3)

    def judge(self) -> None:
        """Stripe decides a contest; sometimes it changes its mind about one that was lost."""
        disputes = self.stripe.all("dispute")
        undecided = [one for one in disputes if one["status"] in UNDECIDED]
        lost = [one for one in disputes if one["status"] == "lost"]
        if undecided:
            self.decide(self.random.choice(undecided))
        elif lost:
            self.stripe.end_dispute(self.random.choice(lost)["id"], "won")

    def decide(self, dispute: Any) -> None:
        ends = ["warning_closed"] if dispute["status"].startswith("warning") else ["won", "lost"]
        self.stripe.end_dispute(dispute["id"], self.random.choice(ends))

    def give_back(self) -> None:
        """Finance gives back the deposit of a bidder that is not in line."""
        name = self.random.choice([one for one in self.bidders if one not in {"buyer", "other_buyer"}])
        url = f"/registrations/{self.sale.registrations[name]}/release-deposit"
        self.finance.ok("POST", url, json={"reason": "wants it back"})

    def dawdle(self) -> None:
        """From now on refunds take their time at Stripe, or do not any more."""
        self.stripe.refunds_pending = not self.stripe.refunds_pending

    def end_refunds(self) -> None:
        """A refund that took its time succeeds, or fails; now and then one fails that had succeeded."""
        refunds = [one for one in self.stripe.all("refund") if one["status"] in {"pending", "succeeded"}]
        if refunds:
            refund = self.random.choice(refunds)
            ends = ["succeeded", "failed"] if refund["status"] == "pending" else ["failed"]
            self.stripe.end_refund(refund["id"], self.random.choice(ends))

    def lag(self) -> None:
        """Stripe does not show the lines of its balance yet, or shows them again."""
        self.stripe.hold_balance = not self.stripe.hold_balance

    def bill(self) -> None:
        self.stripe.take_fee(3_00)

    def charge_by_hand(self) -> None:
        """Somebody charges a card in Stripe's own pages: money that nobody asked for."""
        self.by_hand.add(self.stripe.charge_by_hand(7_00)["latest_charge"])

    def pay_out(self) -> None:
        if self.stripe.balance() > 0:
            self.stripe.pay_out()

    def end_payout(self) -> None:
        """A payout arrives, or does not."""
        under_way = [one for one in self.stripe.all("payout") if one["status"] == "in_transit"]
        if under_way:
            self.stripe.end_payout(self.random.choice(under_way)["id"], self.random.choice(["paid", "paid", "failed"]))

    def show_payout(self) -> None:
        """Our bank shows a payout that has arrived."""
        for payout in self.stripe.all("payout"):
            if payout["status"] == "paid" and payout["id"] not in self.shown:
                self.shown.add(payout["id"])
                self.sale.statement((payout["amount"], "STRIPE PAYOUT", "STRIPE"))

    def match_payout(self) -> None:
        """Finance says which line a payout is, where the clockwork did not."""
        lines = self.finance.ok("GET", "/statement-lines?open=true")["items"]
        for payout in self.finance.ok("GET", "/card-payouts")["items"]:
            fitting = [
                one for one in lines if (one["remittance"], one["amount"]) == ("STRIPE PAYOUT", payout["amount"])
            ]
            if fitting and payout["status"] == "paid":
                answer = self.finance.post(f"/card-payouts/{payout['id']}/match", json={"line_id": fitting[0]["id"]})
                assert answer.status_code == 200 or answer.get_json()["code"] == "payout_does_not_match", answer.text

    def settle_cards(self) -> None:
        """Stripe comes to rest: everything is decided, told, paid out and shown by the bank."""
        self.stripe.failures.clear()
        self.stripe.hold_balance = self.stripe.refunds_pending = False
        for refund in self.stripe.all("refund"):
            if refund["status"] == "pending":
                self.stripe.end_refund(refund["id"], "succeeded")
        for dispute in self.stripe.all("dispute"):
            if dispute["status"] in UNDECIDED:
                self.decide(dispute)
        self.pay_out()
        for payout in self.stripe.all("payout"):
            if payout["status"] == "in_transit":
                self.stripe.end_payout(payout["id"], "paid")
        self.show_payout()
        self.catch_up()
        self.match_payout()

    def refund_by_wire(self) -> None:
        """What a card did not take finance sends to its payer's bank account."""
        for refund in self.finance.ok("GET", "/card-refunds")["items"]:
            if refund["status"] in {"failed", "canceled", "refused"}:
                url = f"/card-payments/{refund['card_payment_id']}/refund"
                answer = self.finance.post(url, json={"reason": "the card took no refund"})
                assert answer.status_code == 201 or answer.get_json()["code"] == "nothing_unapplied", answer.text

    def catch_up(self) -> None:
        """Time passes: whatever was put off is tried again, and the sweep finds out what nobody told us."""
        self.running.clock.advance(hours=2)
        for _ in range(3):
            self.sweep()
            self.run_errands()

    def run_errands(self) -> None:
        """Every errand that is due is run, and no worker dies."""
        while self.run_one():
            pass
