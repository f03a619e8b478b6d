"""The card rail over the real SDK and the double of Stripe, and a registration whose deposit can be paid by card."""

import itertools
import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import text

from auctions.models import Registration
from marketplace import errands, jobs, outbox
from marketplace.actor import SYSTEM
from settlement import client_money, controls, deposits, ledger
from tests.conftest import make_settings
from tests.settlement.money import conftest as money
from tests.stripe_double import StripeDouble
from tests.stripe_server import serving

heads, registration, statement = money.heads, money.registration, money.statement
DEPOSIT = 100_000_00


@pytest.fixture
def stripe() -> StripeDouble:
    with serving() as double:
        yield double


@pytest.fixture
def settings(database, tmp_path, stripe):
    """The rail is on, and asks the double."""
    keys = {"STRIPE_API_KEY": "sk_test_x", "STRIPE_WEBHOOK_SECRET": stripe.secret, "STRIPE_API_BASE": stripe.base}
    keys["STRIPE_CURRENCIES"] = "CNY,EUR,JPY,KWD"
    return make_settings(database, tmp_path / "files", **keys)


@dataclass
class Cards:
    """The deeds of a buyer, of finance, of workers and of Stripe's events."""

    api: Any
    people: Any
    running: Any
    clock: Any
    stripe: StripeDouble
    registration: Any
    statement: Any
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def buyer(self) -> Any:
        return self.api.as_(self.people.buyer)

    @property
    def finance(self) -> Any:
        return self.api.as_(self.people.finance)

    def run(self, *, kinds: Any = None) -> None:
        """Workers do what is due now: errands, events of the outbox, jobs."""
        for _ in range(30):
            done = errands.run_due(self.running.sessions, kinds or self.running.errands, clock=self.clock)
            done += outbox.deliver_due(self.running.sessions, self.running.subscriptions, clock=self.clock)
            done += jobs.run_due(self.running.sessions, self.running.works, clock=self.clock)
            if not done:
                return

    def later(self) -> None:
        """Time passes: what was put off is tried again, whose worker died is taken over."""
        self.clock.advance(hours=1)
        self.run()

    def sweep(self) -> None:
        with self.running.sessions.begin() as session:
            self.running.periodic["settlement.sweep_stripe"].run(session, self.clock.now())
        self.run()

    def request(self, mine: Any, person: Any = None) -> Any:
        client = self.api.as_(person or self.people.buyer)
        return client.ok("POST", f"/registrations/{mine.id}/card-payments", 201)

    def payment(self, payment_id: str) -> Any:
        return self.finance.ok("GET", f"/card-payments/{payment_id}")

    def opened(self, mine: Any) -> Any:
        """A payment that the buyer's browser can confirm."""
        asked = self.request(mine)
        self.run()
        return self.payment(asked["id"])

    def paid(self, mine: Any) -> Any:
        """A payment that came, and whose balance is known."""
        payment = self.opened(mine)
        self.stripe.pay(payment["intent_id"])
        self.deliver()
        self.sweep()
        return self.payment(payment["id"])

    def deliver(self, *events: dict[str, Any], times: int = 1, seed: int | None = None) -> None:
        """Send events (all that there are, unless named), each so often, in order or shuffled; then workers run."""
        wanted = list(events or self.stripe.events) * times
        if seed is not None:
            random.Random(seed).shuffle(wanted)
        for event in wanted:
            body, headers = self.stripe.signed(event)
            answer = self.api.post("/stripe/webhook", data=body, headers=headers)
            assert answer.status_code == 200, answer.text
        self.run()

    def release(self, mine: Any, *, approve: bool = True) -> Any:
        """Finance gives a deposit back, another person approves."""
        orders = self.finance.ok("POST", f"/registrations/{mine.id}/release-deposit", json={"reason": "not awarded"})
        for order in orders["items"]:
            if approve and order["state"] == "proposed":
                self.api.as_(self.people.admin).ok("POST", f"/payment-orders/{order['id']}/approve")
        return orders["items"]

    def order(self, order_id: str) -> Any:
        return self.finance.ok("GET", f"/payment-orders/{order_id}")

    def held(self, mine: Any) -> int:
        with self.running.sessions() as session:
            return deposits.held(session, registration_id=mine.id, currency=mine.currency)

    def covered(self, mine: Any) -> bool:
        with self.running.sessions() as session:
            return session.get(Registration, mine.id).covered_at is not None

    def balance(self, account: str, currency: str = "CNY") -> int:
        """What all accounts of a name come to, debit +."""
        with self.running.sessions() as session:
            rows = ledger.balances(session, prefix=account)
            return sum(row.balance_minor for row in rows if row.currency == currency)

    def clearing(self) -> list[Any]:
        return self.finance.ok("GET", "/card-clearing")["items"]

    def sql(self, query: str) -> list[Any]:
        with self.running.sessions() as session:
            return session.execute(text(query)).all()

    def books_are_square(self, *, passed: bool = True) -> None:
        """Sums zero, control totals agree, the account `stripe` is what Stripe says, client money is all there."""
        with self.running.sessions.begin() as session:
            sums = session.execute(text("SELECT currency, sum(amount_minor) FROM postings GROUP BY currency")).all()
            assert all(total == 0 for _, total in sums), sums
            assert [one for one in controls.control_totals(session) if one.difference] == []
            for row in client_money.check(session, actor=SYSTEM, at=self.clock.now()):
                assert row.passed is passed, row.parts

    def balance_is_stripes(self, currency: str = "CNY") -> None:
        assert self.balance("stripe", currency) == self.stripe.balance(currency.lower())


@pytest.fixture
def cards(api, people, running, clock, stripe, registration, statement) -> Cards:
    return Cards(api, people, running, clock, stripe, registration, statement)
