"""The linear program under the packing of bids, solved by HiGHS in doubles and made exact in whole numbers.

*Any* prices of the resources, whole and not negative, give a bound that holds exactly: nobody can take more than the
sum of all prices and of what each bid weighs above the prices of its resources. HiGHS finds good prices at one scale
after another: what rounding left at one is solved again at the next finer one (iterative refinement: Gleixner, Steffy &
Wolter, 2016), so that the bound gets as sharp as the integers are, however large. One thread, fixed seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from auctions.domain.formats import TooMuchWork

DIGITS: Final = 10**6
"""By so much the unit shrinks from one scale to the next; doubles are good for more."""

CLIP: Final = 10**8
"""A cost beyond so many units cannot matter at this scale."""


ITERATIONS: Final = ("simplex_iteration_limit", 20_000)
"""Prices of an unfinished solve give a bound too, only a blunter one."""


@dataclass(frozen=True, slots=True)
class Relaxed:
    """An exact upper bound, the share of each bid in it, and by how much each bid weighs less than its prices."""

    bound: int
    shares: Sequence[float]
    slack: Sequence[int]


class Budget:
    """How much one packing may still be worked at: a solve costs its size. Counts, never seconds."""

    def __init__(self, work: int) -> None:
        self.left = work

    def spend(self, size: int) -> None:
        """Pay for one solve; raise `TooMuchWork`."""
        self.left -= size
        if self.left < 0:
            raise TooMuchWork


class Program:
    """max Σ weight × share, where each resource is used up by bids or left over; loaded into HiGHS once."""

    def __init__(
        self, weights: Sequence[int], members: Sequence[Sequence[int]], resources: int, budget: Budget
    ) -> None:
        """Take bids by position with the numbers 0 … resources - 1 that each needs."""
        self.weights, self.members, self.resources = weights, members, resources
        self._budget, self._size = budget, len(weights) + resources + sum(len(need) for need in members)
        self._budget.spend(self._size)
        self._solver = _loaded(members, resources)

    def relax(self, goal: int) -> Relaxed:
        """Bound the weight of a packing, refining until the bound is at most `goal` or exact to the unit."""
        prices = [0] * self.resources
        unit = max(1, max(self.weights) // DIGITS)
        best: Relaxed | None = None
        while True:
            slack = [sum(prices[r] for r in need) - w for need, w in zip(self.members, self.weights, strict=True)]
            shares, corrections = self._solve(slack, prices, unit)
            prices = [max(0, price + change) for price, change in zip(prices, corrections, strict=True)]
            found = self._bound(prices, shares)
            best = found if best is None or found.bound <= best.bound else best
            if best.bound <= goal or unit == 1:
                return best
            unit = max(1, unit // DIGITS)

    def _bound(self, prices: Sequence[int], shares: Sequence[float]) -> Relaxed:
        slack = [sum(prices[r] for r in need) - w for need, w in zip(self.members, self.weights, strict=True)]
        return Relaxed(sum(prices) - sum(less for less in slack if less < 0), shares, slack)

    def _solve(self, slack: Sequence[int], prices: Sequence[int], unit: int) -> tuple[list[float], list[int]]:
        """Solve at one scale: what a bid weighs above the prices, what is lost where a resource is left over."""
        import numpy as np  # noqa: PLC0415 - with the solver: a tenth of a second that only packages need

        self._budget.spend(self._size)
        costs = np.array([_scaled(value, unit) for value in (*slack, *prices)])
        solver = self._solver
        solver.changeColsCost(len(costs), np.arange(len(costs), dtype=np.int32), costs)
        solver.run()
        solution = solver.getSolution()
        duals = [_whole(-value, unit) for value in solution.row_dual]
        return list(solution.col_value)[: len(self.weights)], duals


def _scaled(value: int, unit: int) -> float:
    return max(-CLIP, min(CLIP, value / unit)) if abs(value) < CLIP * unit else (CLIP if value > 0 else -CLIP)


def _whole(value: float, unit: int) -> int:
    """Return `value` units as an integer, keeping the digits behind the point that a finer unit can hold."""
    return round(value * DIGITS) * unit // DIGITS


def _loaded(members: Sequence[Sequence[int]], resources: int) -> Any:
    import highspy._core as highs  # noqa: PLC0415 - a third of a second to load, which only package auctions need
    import numpy as np  # noqa: PLC0415 - see above

    columns = [*(sorted(need) for need in members), *([r] for r in range(resources))]
    starts = np.cumsum([0, *(len(column) for column in columns)])
    indices = np.array([r for column in columns for r in column])
    program = highs.HighsLp()
    program.num_col_, program.num_row_ = len(columns), resources
    program.col_cost_ = np.zeros(len(columns))
    program.col_lower_, program.col_upper_ = np.zeros(len(columns)), np.full(len(columns), highs.kHighsInf)
    program.row_lower_ = program.row_upper_ = np.ones(resources)
    program.a_matrix_.format_ = highs.MatrixFormat.kColwise
    program.a_matrix_.start_, program.a_matrix_.index_ = starts, indices
    program.a_matrix_.value_ = np.ones(len(indices))
    solver = highs._Highs()  # noqa: SLF001 - the public class prints a banner on standard output when it is made
    for name, value in (("output_flag", False), ("threads", 1), ("random_seed", 0), ("solver", "simplex"), ITERATIONS):
        solver.setOptionValue(name, value)
    solver.passModel(program)
    return solver
