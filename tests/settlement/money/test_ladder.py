"""The matching ladder: every rung on its own, sums against brute force, names as banks write them."""

from datetime import date, timedelta
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from settlement.domain.combinations import MAX_AMOUNTS, MAX_SOLUTIONS, combinations_to
from settlement.domain.ladder import (
    MAX_SUGGESTIONS,
    CentTail,
    Movement,
    OpenItem,
    OpenItems,
    Part,
    Reason,
    Rung,
    by_key,
    suggest,
)
from settlement.domain.names import is_third_party, likeness, plain_account, same_name

DAY = date(2026, 3, 2)


def line(amount: int, **changes) -> Movement:
    values = {"line": "L1", "currency": "CNY", "incoming": True, "booked_on": DAY} | changes
    return Movement(amount_minor=amount, **values)


def item(reference: str, open_minor: int, **changes) -> OpenItem:
    return OpenItem(reference, open_minor, **({"currency": "CNY", "incoming": True} | changes))


@settings(max_examples=60)
@given(
    amounts=st.lists(st.integers(1, 30), max_size=9),
    target=st.integers(1, 90),
    fewest=st.integers(1, 2),
    most=st.integers(2, 5),
)
def test_sums_equal_brute_force(amounts, target, fewest, most) -> None:
    expected = sorted(
        chosen
        for size in range(fewest, most + 1)
        for chosen in combinations(range(len(amounts)), size)
        if sum(amounts[at] for at in chosen) == target
    )
    found = combinations_to(target, amounts, fewest=fewest, most=most)
    assert found.complete == (len(expected) <= MAX_SOLUTIONS)
    assert set(found.solutions) <= set(expected)
    if found.complete:
        assert list(found.solutions) == expected


def test_a_search_is_exhaustive_or_refused() -> None:
    forty = [2 * number for number in range(1, MAX_AMOUNTS + 1)]
    assert combinations_to(401, forty).solutions == ()
    assert not combinations_to(5 * 80, [80] * MAX_AMOUNTS).complete
    for bad in ([*forty, 1], [0], [-1]):
        with pytest.raises(ValueError, match="at most 40"):
            combinations_to(5, bad)


def test_a_reference_comes_first_and_says_whether_the_amount_fits() -> None:
    items = OpenItems([item("A", 100), item("B", 60)])
    (first, second) = suggest(line(100, references=("A", "B", "unknown")), items)
    assert (first.rung, first.score, first.parts) == (Rung.REFERENCE, 100, (Part("L1", "A", 100),))
    assert first.reasons == (Reason.REFERENCE_NAMED, Reason.AMOUNT_EQUAL)
    assert (second.rung, second.parts) == (Rung.REFERENCE_OTHER_AMOUNT, (Part("L1", "B", 60),))


def test_a_key_names_one_item_or_none() -> None:
    tail = CentTail("622202", 1_000_037, until=DAY)
    tailed = item("A", 1_000_000, tails=(tail,))
    numbered = item("B", 500, sub_account="6222-0001")
    items = OpenItems([tailed, numbered])
    ours = {"account": "622202"}
    by_tail = by_key(line(1_000_037, **ours), items)
    assert by_tail is not None
    assert (by_tail.rung, by_tail.reasons) == (Rung.RECEIPT_KEY, (Reason.CENT_TAIL, Reason.AMOUNT_DIFFERS))
    by_number = by_key(line(400, sub_account="62220001"), items)
    assert by_number is not None
    assert (by_number.parts, by_number.reasons[0]) == ((Part("L1", "B", 400),), Reason.SUB_ACCOUNT)
    assert by_key(line(1_000_038, **ours), items) is None
    assert by_key(line(1_000_037, account="622203"), items) is None
    late = item("A", 9, tails=(CentTail("622202", 1_000_037, until=DAY - timedelta(days=1)),))
    assert by_key(line(1_000_037, **ours), OpenItems([late])) is None
    assert by_key(line(1_000_037, currency="EUR", **ours), items) is None
    assert by_key(line(1_000_037, incoming=False, **ours), items) is None
    assert by_key(line(1_000_037, **ours), OpenItems([tailed, item("C", 9, tails=(tail,))])) is None


@pytest.mark.parametrize(("days", "score"), [(0, 80), (30, 80), (-30, 80), (31, 65)])
def test_a_known_payer_in_time_is_better_than_late(days, score) -> None:
    known = item("A", 100, accounts=frozenset({"6217"}), due_on=DAY + timedelta(days=days))
    items = OpenItems([known, item("B", 100)])
    (only,) = suggest(line(100, payer_account="62-17"), items)
    assert (only.rung, only.score, only.parts[0].reference) == (Rung.KNOWN_PAYER, score, "A")
    assert (Reason.IN_TIME in only.reasons) == (score == 80)


def test_a_similar_name_with_the_amount_is_suggested_below() -> None:
    items = OpenItems([item("A", 100, names=("浙江华信资产管理有限公司",)), item("B", 100, names=("金投资产",))])
    (only,) = suggest(line(100, payer_name="浙江华信资产管理"), items)
    assert (only.rung, only.parts[0].reference) == (Rung.SIMILAR_NAME, "A")
    assert only.score < 80
    assert suggest(line(101, payer_name="浙江华信资产管理"), items) == []


def test_several_items_are_one_solution_or_all_of_them() -> None:
    mine = frozenset({"1"})
    items = OpenItems([item("A", 30, accounts=mine), item("B", 70, accounts=mine), item("C", 45, accounts=mine)])
    (only,) = suggest(line(100, payer_account="1"), items)
    assert (only.rung, [part.reference for part in only.parts]) == (Rung.SEVERAL_ITEMS, ["A", "B"])
    assert Reason.ONLY_SOLUTION in only.reasons
    more = OpenItems([*items.items, item("D", 55, accounts=mine)])
    both = suggest(line(100, payer_account="1"), more)
    assert [[part.reference for part in one.parts] for one in both] == [["A", "B"], ["C", "D"]]
    assert all(Reason.SEVERAL_SOLUTIONS in one.reasons for one in both)
    many = OpenItems([item(f"I{number}", 2 + number, accounts=mine) for number in range(41)])
    (refused,) = suggest(line(100, payer_account="1"), many)
    assert (refused.parts, refused.reasons) == ((), (Reason.TOO_MANY_ITEMS,))


def test_when_more_solutions_exist_than_are_listed_it_is_said() -> None:
    mine = frozenset({"1"})
    seven = OpenItems([item(f"I{number}", 50, accounts=mine) for number in range(7)])
    shown = suggest(line(100, payer_account="1"), seven)
    assert len(shown) == MAX_SUGGESTIONS
    assert all(Reason.MORE_THAN_SHOWN in one.reasons for one in shown)
    six = OpenItems(list(seven.items)[:6])
    assert [Reason.MORE_THAN_SHOWN in one.reasons for one in suggest(line(100, payer_account="1"), six)] == [False] * 15


def test_several_lines_pay_one_item() -> None:
    items = OpenItems([item("A", 100, accounts=frozenset({"1"}))])
    others = [
        line(60, line="L2", payer_account="1"),
        line(60, line="L3", payer_account="2"),
        line(60, line="L4", payer_account="1", incoming=False),
    ]
    (only,) = suggest(line(40, payer_account="1"), items, others)
    assert (only.rung, only.parts) == (Rung.SEVERAL_LINES, (Part("L1", "A", 40), Part("L2", "A", 60)))
    assert Reason.ONLY_SOLUTION in only.reasons


ITEMS = st.lists(
    st.builds(
        OpenItem,
        reference=st.uuids().map(str),
        open_minor=st.integers(1, 12),
        currency=st.sampled_from(["CNY", "EUR"]),
        incoming=st.booleans(),
        names=st.sampled_from([(), ("华信资产",), ("Acme Ltd",)]),
        accounts=st.sampled_from([frozenset(), frozenset({"1"}), frozenset({"2"})]),
        tails=st.sampled_from([(), (CentTail("", 7, DAY),)]),
    ),
    max_size=8,
)


@settings(max_examples=80)
@given(
    items=ITEMS, amount=st.integers(1, 20), account=st.sampled_from(["", "1"]), name=st.sampled_from(["", "华信资产"])
)
def test_suggestions_never_promise_more_than_there_is(items, amount, account, name) -> None:
    """Parts fit the line and the items, in its currency and direction; the order is by score; the same set once."""
    movement = line(
        amount, payer_account=account, payer_name=name, references=tuple(one.reference for one in items[:2])
    )
    found = suggest(movement, OpenItems(items))
    known = {one.reference: one for one in items}
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert len({one.parts for one in found}) == len(found)
    for one in found:
        assert sum(part.amount_minor for part in one.parts) <= amount
        for part in one.parts:
            assert 0 < part.amount_minor <= known[part.reference].open_minor
            assert (known[part.reference].currency, known[part.reference].incoming) == ("CNY", True)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("华信资产管理有限公司", "华信资产管理", True),
        ("ＨＵＡＸＩＮ Co., Ltd.", "huaxin", True),
        ("Siemens Aktiengesellschaft Mue", "Siemens Aktiengesellschaft Muenchen", True),
        ("华信", "华信资产", False),
        ("华信资产", "金投资产", False),
        ("", "华信资产", False),
        ("有限公司", "股份有限公司", False),
    ],
)
def test_names_are_compared_as_banks_write_them(one, other, same) -> None:
    assert same_name(one, other) is same
    assert same_name(other, one) is same
    assert (likeness(one, other) == 100) <= same


def test_a_third_party_differs_by_account_where_it_is_known_else_by_name() -> None:
    names, accounts = ["华信资产"], [plain_account("62 17")]
    assert not is_third_party("whoever", "6217", names=names, accounts=accounts)
    assert is_third_party("华信资产", "999", names=names, accounts=accounts)
    assert not is_third_party("华信资产", "999", names=names, accounts=[])
    assert is_third_party("金投资产", "999", names=names, accounts=[])
    assert not is_third_party("", "", names=names, accounts=accounts)
