"""What holds after every step of the simulated market, read from the rows and from what the bank and Stripe know."""

from typing import Any

from sqlalchemy import text

from settlement import client_money, controls, deposit_figures, exceptions, periods, trial_balance
from settlement.domain import cards

CLEARING = (
    "SELECT 'card_clearing', charge_id, received_minor FROM card_payments WHERE charge_id IS NOT NULL"
    " UNION ALL SELECT 'card_clearing', r.refund_id, -o.amount_minor FROM card_refunds r"
    "  JOIN payment_orders o ON o.id = r.order_id WHERE o.state = 'settled'"
    " UNION ALL SELECT 'card_clearing', dispute_id, -amount_minor FROM card_disputes WHERE state = 'lost'"
    " UNION ALL SELECT 'in_transit', p.payout_id, -p.amount_minor FROM card_payouts p"
    "  WHERE p.settled_by_line_id IS NOT NULL"
    " UNION ALL SELECT CASE WHEN kind LIKE 'payout%' THEN 'in_transit' ELSE 'card_clearing' END, source, -amount_minor"
    "  FROM stripe_lines WHERE source <> ''"
)
"""What lies between a card, our balance at Stripe and our bank, added up from the rows of each side."""

UNAPPLIED = (
    "SELECT p.id, p.received_minor"
    " - (SELECT coalesce(sum(amount_minor), 0) FROM matches m WHERE m.card_payment_id = p.id)"
    " - (SELECT coalesce(sum(amount_minor), 0) FROM payment_orders o WHERE o.source_account = 'unapplied:' || p.id"
    "    AND o.state NOT IN ('cancelled', 'returned'))"
    " - (SELECT coalesce(sum(unapplied_minor), 0) FROM card_disputes d WHERE d.card_payment_id = p.id)"
    " FROM card_payments p WHERE p.state = 'received'"
)
"""What of a card payment has found no place yet."""


class Checks:
    """The invariants. `verify` looks at all of them; what it must know beside the rows stands in the market."""

    sale: Any
    running: Any
    stripe: Any
    euros: int
    charges: list[tuple[str, int]]
    changes: list[tuple[str, int]]
    by_hand: set[str]
    history: dict[tuple, tuple]

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
            self.verify_clearing(session, balances)
            self.verify_stripe(session)
            self.verify_history(session)

    def verify_client_money(self, session: Any, balances: Any) -> None:
        lines = dict(session.execute(text("SELECT currency, sum(amount_minor) FROM statement_lines GROUP BY 1")).all())
        at_stripe = dict(session.execute(text("SELECT currency, sum(net_minor) FROM stripe_lines GROUP BY 1")).all())
        taken = {"CNY": sum(amount for _, amount in (*self.charges, *self.changes))}
        for currency in sorted(lines.keys() | at_stripe.keys()):
            parts = {
                client_money.BANK_LINES: int(lines.get(currency, 0)),
                client_money.STRIPE_LINES: int(at_stripe.get(currency, 0)),
            }
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
        listed |= {str(key): -int(amount) for key, amount in session.execute(text(UNAPPLIED)) if amount}
        foreign = {str(cards.clearing_id(charge)): -7_00 for charge in self.by_hand}
        found = {of: int(minor) for name, of, _, minor in balances if name in {"unapplied", "unexplained"}}
        assert {of: minor for of, minor in found.items() if of not in foreign} == listed
        assert {of: minor for of, minor in found.items() if of in foreign}.items() <= foreign.items()
        orders = session.execute(
            text("SELECT id, amount_minor FROM payment_orders WHERE state NOT IN ('settled', 'cancelled', 'returned')")
        )
        assert {str(key): -int(amount) for key, amount in orders} == {
            of: int(minor) for name, of, _, minor in balances if name == "in_payment"
        }

    def verify_deposits(self, session: Any, balances: Any) -> None:
        received, applied, released, forfeited, contested = session.execute(
            text("SELECT (SELECT coalesce(sum(amount_minor), 0) FROM matches m WHERE deposit_id IS NOT NULL"
                 "  AND NOT EXISTS (SELECT FROM match_reversals r WHERE r.match_id = m.id)),"
                 " (SELECT coalesce(sum(amount_minor), 0) FROM postings p JOIN entries e ON e.id = p.entry_id"
                 "  WHERE e.source_kind = 'deposit.applied' AND amount_minor > 0"
                 "  AND NOT EXISTS (SELECT FROM entries r WHERE r.reverses_id = e.id)),"
                 " (SELECT coalesce(sum(amount_minor), 0) FROM payment_orders"
                 "  WHERE state NOT IN ('cancelled', 'returned') AND purpose = 'deposit_refund'),"
                 " (SELECT coalesce(sum(amount_minor - coalesce(returned_minor, 0)), 0) FROM forfeitures),"
                 " (SELECT coalesce(sum(deposit_minor), 0) FROM card_disputes)")
        ).one()  # fmt: skip
        held = -sum(int(minor) for name, _, _, minor in balances if name == "deposits")
        assert int(received) == int(applied) + int(released) + int(forfeited) + int(contested) + held
        found = deposit_figures.figures(session, list(self.sale.registrations.values()))
        assert all(one.adds_up for one in found.values()), found
        assert sum(one.received for one in found.values()) == int(received)
        assert sum(one.forfeited for one in found.values()) == int(forfeited)
        assert sum(one.disputed for one in found.values()) == int(contested)
        covered = text("SELECT id, deposit_minor FROM registrations WHERE covered_at IS NOT NULL")
        for registration_id, required in session.execute(covered):
            mine = found[registration_id]
            assert mine.held >= required or mine.applied or mine.forfeited, (registration_id, mine)

    def verify_clearing(self, session: Any, balances: Any) -> None:
        """Between card, Stripe and bank lies what the rows of one side say and those of the other do not yet."""
        expected: dict[tuple[str, str], int] = {}
        rows = [*session.execute(text(CLEARING))]
        known = session.execute(text("SELECT source_id FROM entries WHERE source_kind = 'card_payment.foreign'"))
        ids = set(known.scalars())
        rows += [("card_clearing", one, 7_00) for one in self.by_hand if cards.clearing_id(one) in ids]
        for name, object_id, amount in rows:
            key = name, str(cards.clearing_id(object_id))
            expected[key] = expected.get(key, 0) + int(amount)
        found = {(name, of): int(minor) for name, of, _, minor in balances if name in client_money.UNDER_WAY}
        assert found == {key: amount for key, amount in expected.items() if amount}

    def verify_stripe(self, session: Any) -> None:
        """What we believe of Stripe is true there: nothing twice, nothing made up, nothing refunded that stands."""
        at_stripe = self.stripe.objects
        for intent, received in session.execute(
            text("SELECT intent_id, received_minor FROM card_payments WHERE state = 'received'")
        ):
            assert (at_stripe[intent]["status"], at_stripe[intent]["amount_received"]) == ("succeeded", received)
        orders = {
            str(key): (state, int(amount))
            for key, state, amount in session.execute(text("SELECT id, state, amount_minor FROM payment_orders"))
        }
        refunds = self.stripe.all("refund")
        asked = [one["metadata"]["order_id"] for one in refunds]
        assert len(asked) == len(set(asked)), "an order was refunded twice"
        for refund in refunds:
            state, amount = orders[refund["metadata"]["order_id"]]
            assert refund["amount"] == amount
            assert refund["status"] not in {"succeeded", "pending"} or state in {"sent", "settled"}, (refund, state)
            assert (state, refund["status"]) != ("settled", "pending"), refund
        for dispute, state in session.execute(
            text("SELECT dispute_id, state FROM card_disputes WHERE state <> 'open'")
        ):
            ends = {"won": {"won", "warning_closed"}, "lost": {"lost", "won"}}
            assert at_stripe[dispute]["status"] in ends[state], dispute
        ours = [one["metadata"]["payment_id"] for one in self.stripe.all("payment_intent") if one["metadata"]]
        assert len(ours) == len(set(ours)), "a payment has two intents"
        lines = session.execute(text("SELECT transaction_id, source, amount_minor, fee_minor FROM stripe_lines"))
        for transaction, source, amount, fee in lines:
            row = at_stripe[transaction]
            assert (row["source"] or "", row["amount"], row["fee"]) == (source, amount, fee)

    def verify_history(self, session: Any) -> None:
        rows = session.execute(
            text("SELECT p.entry_id, p.line, p.account_id, p.amount_minor, e.source_kind, e.source_id, e.posted_at,"
                 " e.value_on, e.description FROM postings p JOIN entries e ON e.id = p.entry_id")
        )  # fmt: skip
        now = {tuple(row)[:2]: tuple(row) for row in rows}
        assert self.history.items() <= now.items()
        self.history = now
        assert periods.verify(session).agrees

    def verify_rest(self) -> None:
        """What holds when nothing is left to do: no clearing key is open, our account at Stripe is what Stripe says."""
        self.verify()
        with self.running.sessions() as session:
            open_ = session.execute(
                text("SELECT a.key, sum(p.amount_minor) FROM accounts a JOIN postings p ON p.account_id = a.id"
                     " WHERE a.key ~ '^(card_clearing|in_transit|in_payment|disputed):' GROUP BY 1"
                     " HAVING sum(p.amount_minor) <> 0")
            ).all()  # fmt: skip
            assert open_ == []
            ours = session.scalar(text("SELECT sum(net_minor) FROM stripe_lines"))
            assert int(ours or 0) == self.stripe.balance()
            assert [row for row in session.execute(text(UNAPPLIED)) if row[1]] == []
            states = dict(session.execute(text("SELECT CAST(id AS text), state FROM card_payments")).all())
            for intent in self.stripe.all("payment_intent"):
                if intent["metadata"] and intent["status"] in {"succeeded", "canceled"}:
                    wanted = {"succeeded": "received", "canceled": "cancelled"}[intent["status"]]
                    assert states[intent["metadata"]["payment_id"]] == wanted, intent
            needless = session.execute(
                text("SELECT p.id FROM card_payments p JOIN registrations r ON r.id = p.registration_id"
                     " WHERE p.state = 'open' AND r.covered_at IS NOT NULL")
            ).all()  # fmt: skip
            assert needless == []

    def verify_gone(self) -> None:
        """No deposit is with us any more."""
        with self.running.sessions() as session:
            found = deposit_figures.figures(session, list(self.sale.registrations.values()))
            assert {one.held + one.refunding for one in found.values()} == {0}, found
