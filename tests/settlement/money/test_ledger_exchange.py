"""Money changed: two entries of one currency each, the position worth nothing after it is valued, no cent lost."""

import uuid
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.actor import SYSTEM
from marketplace.money import Money
from settlement import client_money, exchange, ledger
from settlement.domain import exchange as rules
from settlement.domain import ledger as books
from tests.conftest import NOW
from tests.settlement.money.test_ledger import DAY, post

AMOUNTS = st.integers(1, 10**13)


@given(sold=AMOUNTS, bought=AMOUNTS, thousandths=st.integers(1, 10**7))
def test_a_valued_position_is_worth_nothing(sold: int, bought: int, thousandths: int) -> None:
    rate = Decimal(thousandths) / 1000
    home, foreign = Money(sold, "CNY"), [(Money(-bought, "EUR"), rate)]
    gain = rules.result(home=home, foreign=foreign)
    moved = sum(line.amount_minor for line in rules.result_lines(gain) if line.account == books.FX_POSITION)
    assert not rules.result(home=home + Money(moved, "CNY"), foreign=foreign)


def test_a_change_with_a_gain_and_a_loss(session) -> None:
    """700.00 CNY are given for 100.00 EUR: at 7.20 a gain of 20.00, at 6.90 the next day 30.00 of it are lost."""
    out, into = books.unexplained(uuid.uuid4()), books.unapplied(uuid.uuid4())
    post(session, 700_00, out, "bank")
    post(session, 100_00, "bank", into, currency="EUR")
    given = {"sold": Money(700_00, "CNY"), "bought": Money(100_00, "EUR"), "from_account": out, "to_account": into}
    when = {"value_on": DAY, "actor": SYSTEM, "at": NOW}
    change_id = uuid.uuid4()
    entries = exchange.change(session, change_id=change_id, **given, **when)
    assert [entry.currency for entry in entries] == ["CNY", "EUR"]
    assert exchange.change(session, change_id=change_id, **given, **when) == entries
    exchange.revalue(session, home="CNY", rates={"EUR": Decimal("7.20")}, **when)
    assert ledger.credit(session, "fx_result", currency="CNY") == 20_00
    exchange.revalue(session, home="CNY", rates={"EUR": Decimal(9)}, **when)
    assert ledger.credit(session, "fx_result", currency="CNY") == 20_00, "once a day"
    tomorrow = when | {"value_on": DAY.replace(day=3)}
    exchange.revalue(session, home="CNY", rates={"EUR": Decimal("6.90")}, **tomorrow)
    assert ledger.credit(session, "fx_result", currency="CNY") == -10_00
    assert exchange.revalue(session, home="CNY", rates={"EUR": Decimal("6.90")}, **tomorrow) is None
    parts: dict[str, dict[str, int]] = {"CNY": {"bank_lines": -700_00}, "EUR": {"bank_lines": 100_00}}
    for row in ledger.balances(session):
        assert row.key.partition(":")[0] not in {"unexplained", "unapplied"} or not row.balance_minor
        parts[row.currency][row.key.partition(":")[0]] = row.balance_minor
    assert [client_money.add_up(one).difference for one in parts.values()] == [0, 0]


def test_what_is_no_change_is_refused(session) -> None:
    for sold, bought in (("1.00 CNY", "1.00 CNY"), ("0.00 CNY", "1.00 EUR"), ("1.00 CNY", "0.00 EUR")):
        amounts = [Money.parse(*text.split()) for text in (sold, bought)]
        with pytest.raises(rules.NothingChanged):
            rules.legs(sold=amounts[0], bought=amounts[1], from_account="bank", to_account="bank")
    post(session, 1, "fx_position", "bank", currency="EUR")
    with pytest.raises(rules.RateMissing):
        exchange.revalue(session, home="CNY", rates={}, value_on=DAY, actor=SYSTEM, at=NOW)
    with pytest.raises(rules.RateNotPositive):
        exchange.revalue(session, home="CNY", rates={"EUR": Decimal(0)}, value_on=DAY, actor=SYSTEM, at=NOW)
