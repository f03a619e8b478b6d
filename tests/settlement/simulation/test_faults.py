"""That the simulation can fail: a product that forgets an entry, rows that somebody rewrites; each is noticed."""

import functools
import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from settlement import card_balance, card_client, card_disputes, card_returns, ledger
from settlement.domain import cards as domain_cards
from tests.settlement.simulation.market import Market


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


def replace(module: Any, name: str, other: Any) -> Any:
    """A product with another function in the place of one of its own, which the other is given first."""

    def seed(market: Market, monkeypatch: Any) -> None:
        monkeypatch.setattr(module, name, functools.partial(other, getattr(module, name)))

    return seed


def skip_drafts(kind: str) -> Any:
    """A product that forgets entries of one kind where it posts several at once."""

    def forget(own: Any, session: Any, drafts: Any, **more: Any) -> Any:
        return own(session, [one for one in drafts if one.source_kind != kind], **more)

    return replace(ledger, "post_all", forget)


def without_fee(own: Any, row: Any) -> Any:
    """A line of Stripe's balance as if there were no fee."""
    return own(SimpleNamespace(**vars(row) | {"fee_minor": 0, "net_minor": row.amount_minor}))


def another_key(own: Any, *given: Any, key: str, **more: Any) -> Any:
    """A refund under a key of its own each time."""
    return own(*given, key=f"{key}:{uuid.uuid4()}", **more)


def keep(own: Any, client: Any, *, intent_id: str, **_: Any) -> Any:
    """An intent that is only looked at instead of being given up."""
    return card_client.fetch_intent(client, intent_id)


def always_succeeded(*_: Any) -> str:
    """A refund that has arrived, whatever Stripe says."""
    return "succeeded"


def nothing(*_: Any, **__: Any) -> None:
    """Instead of a deed."""


def both(*seeds: Any) -> Any:
    def seed(market: Market, monkeypatch: Any) -> None:
        for one in seeds:
            one(market, monkeypatch)

    return seed


CARD_FAULTS = {
    "charge": (skip("card_payment.received"), ("pay_by_card", "verify_rest")),
    "fee": (replace(card_balance, "_draft", without_fee), ("pay_by_card",)),
    "line": (skip_drafts("stripe_line"), ("pay_by_card",)),
    "twice": (
        both(replace(card_client, "find_refund", nothing), replace(card_client, "make_refund", another_key)),
        ("pay_by_card", "refund_and_die"),
    ),
    "pending": (
        replace(domain_cards, "later_status", always_succeeded),
        ("pay_by_card", "dawdle", "refund_and_die"),
    ),
    "covers": (replace(card_disputes, "_uncover", nothing), ("pay_by_card", "contest", "catch_up")),
    "lost": (
        replace(domain_cards, "standing", lambda own, status: own(status.replace("lost", "won"))),
        ("pay_by_card", "contest", "lose_contest", "catch_up"),
    ),
    "payout": (skip("match.payout"), ("pay_by_card", "pay_out", "settle_cards")),
    "kept": (
        replace(card_returns, "send_back", nothing),
        ("open_card", "wire_too", "confirm_all", "catch_up", "verify_rest"),
    ),
    "open": (replace(card_client, "cancel_intent", keep), ("open_card", "wire_too", "catch_up", "verify_rest")),
    "rewritten": (
        without_triggers(
            "stripe_lines", "UPDATE stripe_lines SET fee_minor = fee_minor + 1, net_minor = net_minor - 1"
        ),
        (),
    ),
}
"""Faults of the code of cards, and the deeds after which each shows."""


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_noticed(sale, running, stripe, bidders, monkeypatch, fault: str) -> None:
    seed, deeds = FAULTS[fault]
    market = Market(sale, running, stripe, bidders, 1, defaults=True)
    if fault != "applied":
        market.award()
        market.work()
        market.approve()
        market.send()
    market.verify()
    seed(market, monkeypatch)
    with pytest.raises(AssertionError):
        market.do(*deeds)


@pytest.mark.slow
@pytest.mark.parametrize("fault", CARD_FAULTS)
def test_faults_of_cards_are_noticed(sale, running, stripe, bidders, monkeypatch, fault: str) -> None:
    seed, deeds = CARD_FAULTS[fault]
    market = Market(sale, running, stripe, bidders, 1)
    market.verify()
    if fault == "rewritten":
        market.do("pay_by_card")
    seed(market, monkeypatch)
    with pytest.raises(AssertionError):
        market.do(*deeds)


@pytest.mark.slow
def test_without_a_fault_nothing_is_noticed(sale, running, stripe, bidders) -> None:
    market = Market(sale, running, stripe, bidders, 1)
    market.do("open_card", "wire_too", "confirm_all", "catch_up", "verify_rest")
    market.do("contest", "lose_contest", "catch_up", "pay_out", "settle_cards", "verify_rest")
