"""Rules of payment notices and tolerances: tails, plans, what each has received, where each stands."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.money import Money
from settlement.domain.notices import (
    MAX_TAIL,
    DatesInvalid,
    Instalment,
    Named,
    NoFreeTail,
    NoticePurpose,
    NoticeStatus,
    PlanInvalid,
    check_dates,
    check_plan,
    fill,
    free_tail,
    status,
    subjects,
)
from settlement.domain.tolerances import DepositTolerated, Tolerance, check_tolerance

DAY = date(2026, 3, 2)
AMOUNTS = st.integers(1, 10**12)


def cny(minor: int) -> Money:
    return Money(minor, "CNY")


@given(asked=AMOUNTS, tails=st.sets(st.integers(1, MAX_TAIL)))
def test_a_tail_is_free_or_there_is_none(asked, tails) -> None:
    taken = {asked + tail for tail in tails}
    if len(tails) == MAX_TAIL:
        with pytest.raises(NoFreeTail):
            free_tail(asked, taken)
        return
    tail = free_tail(asked, taken)
    assert 1 <= tail <= MAX_TAIL
    assert asked + tail not in taken
    assert all(asked + smaller in taken for smaller in range(1, tail))


def test_ninety_nine_tails_and_no_more() -> None:
    with pytest.raises(NoFreeTail):
        free_tail(100, set(range(101, 200)))


@given(asked=st.lists(AMOUNTS, max_size=8), received=st.integers(-100, 10**13))
def test_what_has_come_fills_the_first_before_the_second(asked, received) -> None:
    filled = fill(asked, received)
    assert sum(filled) == min(max(received, 0), sum(asked))
    for place, (part, whole) in enumerate(zip(filled, asked, strict=True)):
        assert 0 <= part <= whole
        assert part == whole or not any(filled[place + 1 :])


@pytest.mark.parametrize(
    ("received", "tolerated", "days", "cancelled", "found"),
    [
        (0, 0, 0, False, NoticeStatus.OPEN),
        (99, 0, 0, False, NoticeStatus.PART_PAID),
        (99, 1, 0, False, NoticeStatus.PAID),
        (100, 0, 90, True, NoticeStatus.PAID),
        (99, 0, 1, False, NoticeStatus.OVERDUE),
        (0, 0, 30, False, NoticeStatus.OVERDUE),
        (0, 0, 31, False, NoticeStatus.EXPIRED),
        (99, 0, 0, True, NoticeStatus.CANCELLED),
    ],
)
def test_where_a_notice_stands(received, tolerated, days, cancelled, found) -> None:
    assert (
        status(
            asked_minor=100,
            received_minor=received,
            tolerated_minor=tolerated,
            due_on=DAY,
            expires_on=DAY + timedelta(days=30),
            cancelled=cancelled,
            on=DAY + timedelta(days=days),
        )
        is found
    )


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [(99, 0)],
        [(100, 0), (1, 1)],
        [(50, 0), (50, 0)],
        [(50, 1), (50, 0)],
        [(101, 0), (-1, 1)],
        [(1, day) for day in range(100)],
    ],
)
def test_a_plan_is_the_whole_balance_in_the_order_of_its_days(parts) -> None:
    plan = [Instalment(cny(minor), DAY + timedelta(days=days)) for minor, days in parts]
    with pytest.raises(PlanInvalid):
        check_plan(plan, due=cny(100))
    check_plan([Instalment(cny(30), DAY), Instalment(cny(70), DAY + timedelta(days=1))], due=cny(100))
    with pytest.raises(PlanInvalid):
        check_plan([Instalment(Money(100, "EUR"), DAY)], due=cny(100))


def test_a_notice_is_not_late_when_it_is_sent() -> None:
    check_dates(due_on=DAY, expires_on=DAY, today=DAY)
    for due, expires in ((-1, 1), (2, 1)):
        with pytest.raises(DatesInvalid):
            check_dates(due_on=DAY + timedelta(days=due), expires_on=DAY + timedelta(days=expires), today=DAY)


def test_a_reference_stands_for_its_subject_until_its_last_day() -> None:
    notices = {"RF1": Named("DP-1", DAY), "RF2": Named("DP-1", DAY), "RF3": Named("DP-2", None)}
    assert subjects(["RF1", "DP-1", "RF2", "x"], notices, on=DAY) == ["DP-1", "x"]
    assert subjects(["RF1", "DP-1"], notices, on=DAY + timedelta(days=1)) == ["RF1", "DP-1"]
    assert subjects(["RF3"], notices, on=DAY) == ["RF3"]


def test_a_deposit_has_no_tolerance() -> None:
    for under, over in ((1, 0), (0, 1)):
        with pytest.raises(DepositTolerated):
            check_tolerance(NoticePurpose.DEPOSIT, Tolerance(cny(under), cny(over)))
        check_tolerance(NoticePurpose.BALANCE, Tolerance(cny(under), cny(over)))
    check_tolerance(NoticePurpose.DEPOSIT, Tolerance(cny(0), cny(0)))
