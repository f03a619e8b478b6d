"""The whole as a model: prices, deductions, claims, ceilings, parts, adjustments, returns; no cent is lost or made."""

from datetime import date
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace import db
from marketplace.money import Money
from settlement.domain import closing
from settlement.domain.adjustments import (
    AdjustmentKind,
    Item,
    Stand,
    of_collections,
    of_price,
    of_return,
    true_up,
)
from settlement.domain.closing import Cases, Claim, Terms
from settlement.domain.funds_flow import Deduction, Fixed, Percent
from settlement.domain.instalments import next_part

cents = st.integers(0, 10**7)


def money(minor):
    return Money(minor, "CNY")


@st.composite
def closed(draw):
    """A sale closed under random terms, and the keys of its cases."""
    count = draw(st.integers(1, 7))
    keys = [f"c{number}" for number in range(count)]
    weights = [draw(st.integers(1, 10**6)), *(draw(st.integers(0, 10**6)) for _ in range(count - 1))]
    claims = tuple(
        Claim(f"n{n}", "p", draw(st.integers(1, 3)), money(draw(cents)), case=draw(st.sampled_from([None, *keys])))
        for n in range(draw(st.integers(0, 5)))
    )
    capped = draw(st.booleans())
    price = draw(st.integers(1, 10**7))
    caps = [price if weight else None for weight in weights] if capped else [None] * count
    terms = Terms(
        deductions=(Deduction("cost", "court", Fixed(money(draw(cents)), up_to_rest=True)),),
        claims=claims,
        holdback=Percent(Decimal(draw(st.integers(0, 100)))),
        capped=capped,
    )
    commission = Deduction("commission", "operator", Percent(Decimal(draw(st.integers(0, 30)))))
    found = closing.close(
        price=money(price), deposit=money(0), deductions=[commission], terms=terms, cases=Cases(keys, weights, caps)
    )
    return found, keys


@given(closed(), st.data())
@settings(max_examples=300)
def test_parts_complete_every_case_and_take_nothing_back(sale, data):
    found, keys = sale
    given_, held = list(found.first), found.holdback.minor
    assert sum(given_) + held == sum(found.proceeds)
    while held:
        amount = data.draw(st.integers(1, held))
        part = next_part(amount, given_, found.proceeds, keys)
        assert sum(part) == amount
        assert all(one >= 0 for one in part)
        given_ = [had + one for had, one in zip(given_, part, strict=True)]
        assert all(had <= whole for had, whole in zip(given_, found.proceeds, strict=True))
        held -= amount
    assert given_ == found.proceeds
    assert sum(given_) + sum(one.minor for one in found.liens) == found.flow.net.minor


@given(closed(), st.data())
@settings(max_examples=300)
def test_whatever_follows_no_case_gives_back_more_than_its_price_and_both_statements_agree(sale, data):
    found, keys = sale
    stands = {key: Stand(key, price) for key, price in zip(keys, found.price, strict=True)}
    register, by_case = [], dict.fromkeys(keys, 0)
    for _ in range(data.draw(st.integers(0, 6))):
        kind = data.draw(st.sampled_from(list(AdjustmentKind)))
        standing = [key for key in keys if not stands[key].out]
        parts = _parts(kind, stands, standing, data)
        if not parts:
            continue
        for key, minor in parts.items():
            by_case[key] += minor
            one = stands[key]
            back = 0 if kind is AdjustmentKind.COLLECTIONS else minor
            gone = kind in {AdjustmentKind.REMOVAL, AdjustmentKind.REPURCHASE}
            stands[key] = Stand(key, one.price, one.returned + back, gone or one.out)
            assert stands[key].left >= 0
        register.append(Item(db.new_id(), kind, date(2026, 3, 2), sum(parts.values()), 0))
    buyer, seller = true_up(register, for_buyer=True), true_up(register, for_buyer=False)
    assert buyer.total == -seller.total == sum(by_case.values()) == buyer.open
    assert [one.amount for one in buyer.items] == [-one.amount for one in seller.items]
    assert sum(one.left + one.returned for one in stands.values()) == found.flow.gross.minor


def _parts(kind, stands, standing, data):
    """One adjustment that the rules allow, by case; nothing when there is none."""
    left = sum(stands[key].left for key in standing)
    if kind is AdjustmentKind.PRICE:
        amount = data.draw(st.integers(-(10**6), left))
        weighs = any(stands[key].price for key in standing)
        return of_price(stands, amount) if amount and weighs else {}
    chosen = data.draw(st.lists(st.sampled_from(standing), unique=True)) if standing else []
    if kind is AdjustmentKind.COLLECTIONS:
        amounts = {key: data.draw(st.integers(-100, 10**5)) for key in chosen}
        return of_collections(stands, amounts) if sum(amounts.values()) else {}
    collected = {key: data.draw(st.integers(0, stands[key].left)) for key in chosen}
    gives = any(stands[key].left > collected[key] for key in chosen)
    return of_return(stands, chosen, collected) if gives else {}
