"""Package bids: the solver against trying every subset, amounts beyond doubles, limits that hold."""

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auctions.domain import winners
from auctions.domain.formats import TooMuchWork
from auctions.domain.packing import Packing
from auctions.domain.relaxation import Budget
from auctions.domain.winners import Offer, Problem, determine, enumerate_all, solve
from tests.auctions.documents_formats import event, rules

AMOUNTS = st.integers(0, 6) | st.integers(2**31, 2**31 + 3) | st.integers(2**53, 2**53 + 3) | st.just(2**63 - 1)


@st.composite
def problems(draw):
    lots = draw(st.integers(1, 6))
    reserves = tuple(draw(st.lists(st.integers(0, 3), min_size=lots, max_size=lots)))
    at_reserve, offers = draw(st.booleans()), []
    for number in range(draw(st.integers(0, 9))):
        chosen = tuple(sorted(draw(st.sets(st.integers(0, lots - 1), min_size=1))))
        amount = max(draw(AMOUNTS), sum(reserves[lot] for lot in chosen))
        offers.append(Offer(draw(st.sampled_from("ABC")), chosen, amount, number + 1))
    return Problem(reserves, at_reserve, draw(st.booleans()), tuple(offers))


@settings(max_examples=150, deadline=None)
@given(problem=problems())
def test_the_solver_finds_what_brute_force_finds(problem):
    assert solve(problem) == enumerate_all(problem)


def test_both_results_and_the_inputs_are_there_for_the_protocol():
    problem = Problem((100, 100), at_reserve=False, exclusive=False, offers=(Offer("A", (0, 1), 250, 4),))
    solution = determine(problem)
    assert solution.solver == solution.recheck == {"sequences": [4], "revenue": "250", "lots_sold": 2}
    assert json.loads(json.dumps(solution.inputs))["bids"] == [
        {"sequence": 4, "bidder": "A", "lots": [0, 1], "amount": "250"}
    ]


def test_a_difference_between_solver_and_brute_force_stops_everything(monkeypatch):
    monkeypatch.setattr(winners, "solve", lambda _: ())
    with pytest.raises(winners.RecheckDisagrees):
        determine(Problem((1,), at_reserve=False, exclusive=False, offers=(Offer("A", (0,), 1, 1),)))


def test_one_minor_unit_beyond_two_to_the_53_decides():
    large = 2**60
    offers = (Offer("A", (0, 1), 2 * large, 1), Offer("B", (0,), large, 2), Offer("C", (1,), large + 1, 3))
    problem = Problem((0, 0), at_reserve=False, exclusive=False, offers=offers)
    assert [offer.bidder for offer in determine(problem).winners] == ["B", "C"]


def test_many_equal_bids_are_decided_by_their_sequences():
    offers = tuple(
        Offer(f"b{n}", (n % 20, (n * 7 + 1) % 20), 100, n + 1) for n in range(120) if n % 20 != (n * 7 + 1) % 20
    )
    problem = Problem((0,) * 20, at_reserve=False, exclusive=False, offers=offers)
    solution = determine(problem)
    assert (solution.revenue, solution.recheck) == (1000, None)


def test_what_cannot_be_proven_in_bounded_work_is_refused():
    packing = Packing([1] * 3, [frozenset({0, 1}), frozenset({1, 2}), frozenset({0, 2})])
    packing.budget = Budget(5)
    with pytest.raises(TooMuchWork):
        packing.solve()
    lots = winners.MAX_OFFERS + 1
    offers = tuple(Offer("A", (number,), 1, number) for number in range(lots))
    with pytest.raises(TooMuchWork):
        determine(Problem((0,) * lots, at_reserve=False, exclusive=False, offers=offers))


def test_bids_beaten_on_the_same_lots_are_no_work():
    offers = tuple(Offer(f"B{number}", (number % 3,), number, number) for number in range(1, 60_001))
    solution = determine(Problem((0,) * 3, at_reserve=False, exclusive=False, offers=offers))
    assert solution.solver["sequences"] == [59_998, 59_999, 60_000]


def test_the_solver_writes_nothing_beside_the_answer():
    bids = [event("09:01", "bid", "A", "100.00", lots=["L1"]), event("09:02", "bid", "B", "250.00", lots=["L1", "L2"])]
    document = {"rules": rules("package"), "events": bids}
    command = [sys.executable, "-m", "auctions", "replay", "-"]
    result = subprocess.run(command, input=json.dumps(document).encode(), capture_output=True, check=True)
    assert (json.loads(result.stdout)["price"], result.stderr) == ("250.00", b"")
