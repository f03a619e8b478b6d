"""The geometry of pictures: whole, in range, in proportion."""

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from console import charts

T0 = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
amounts = st.integers(min_value=0, max_value=10**17)


@given(st.lists(amounts, max_size=12))
def test_bars_are_in_proportion_and_never_hidden(values):
    lengths = charts.widths(values)
    assert len(lengths) == len(values)
    assert all(0 <= length <= charts.FULL for length in lengths)
    for value, length in zip(values, lengths, strict=True):
        assert (length > 0) == (value > 0)
    if any(values):
        assert lengths[values.index(max(values))] == charts.FULL
        assert sorted(lengths) == [length for _, length in sorted(zip(values, lengths, strict=True))]


@given(st.lists(amounts, min_size=1, max_size=12))
def test_shares_add_up(values):
    assert sum(charts.shares(values)) == (charts.FULL if any(values) else 0)


@given(amounts, amounts, st.integers(min_value=1, max_value=9))
def test_ticks_span_the_values_in_round_steps(one, other, most):
    low, high = sorted((one, other))
    marks = charts.ticks(low, high, most)
    assert marks[0] <= low
    assert marks[-1] >= high
    assert 2 <= len(marks) <= most + 2
    (step,) = {after - before for before, after in itertools.pairwise(marks)}
    assert str(step).rstrip("0") in {"1", "2", "5"}


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10**9)), min_size=1, max_size=30))
def test_the_line_rises_from_left_to_right_inside_the_picture(raw):
    seconds, raises = sorted(second for second, _ in raw), sorted(price for _, price in raw)
    bids = [(T0 + timedelta(seconds=s), 10**6 + r) for s, r in zip(seconds, raises, strict=True)]
    line = charts.price_line(bids, start=10**6, opens_at=T0, until=T0 + timedelta(seconds=5000))
    assert line is not None
    assert len(line.dots) == len(bids)
    for before, after in itertools.pairwise(line.steps):
        assert before.x <= after.x
        assert before.y >= after.y, "a higher price stands nearer to the top"
        assert before.x == after.x or before.y == after.y, "a staircase"
    assert all(0 <= dot.x <= charts.FULL and 0 <= dot.y <= charts.FULL for dot in line.steps)
    assert line.steps[-1].x == charts.FULL


def test_no_bid_no_line():
    assert charts.price_line([], start=1, opens_at=T0, until=T0) is None


def test_one_bid_at_the_very_opening():
    line = charts.price_line([(T0, 500)], start=500, opens_at=T0, until=T0)
    assert line is not None
    assert line.points.startswith("0,")
