"""The heaviest set of bids of which no two share a resource, found and proven in whole numbers by branch and bound.

The linear program (`relaxation`) proposes sets and gives bounds that hold exactly; a branch is given up only when its
bound says so. Limits count work and not seconds: the same bids give the same answer everywhere.
"""

from collections.abc import Sequence
from typing import Final

from auctions.domain.relaxation import Budget, Program

MAX_WORK: Final = 6_000_000
"""Solves times their size (bids and what they need), for one packing: some ten seconds."""

HALF: Final = 0.5  # no money: the share of a bid in a relaxed packing


class Packing:
    """Bids by position: `weights[i]` above zero, `members[i]` the resources that bid i needs, at least one."""

    def __init__(self, weights: Sequence[int], members: Sequence[frozenset[int]]) -> None:
        self.weights, self.members = weights, members
        self.best: list[int] = []
        self.best_weight = 0
        self.budget = Budget(MAX_WORK)

    def solve(self) -> list[int]:
        """Return the positions of the heaviest set, ascending; raise `TooMuchWork`."""
        nodes: list[tuple[list[int], list[int]]] = [([], list(range(len(self.weights))))]
        while nodes:
            chosen, free = nodes.pop()
            nodes += self._branch(chosen, free)
        return sorted(self.best)

    def _branch(self, chosen: list[int], free: list[int]) -> list[tuple[list[int], list[int]]]:
        """Solve one node: keep a better set, and return the nodes that may hold a still better one, hopeful last."""
        if not free:
            self._offer(chosen)
            return []
        sunk = sum(self.weights[i] for i in chosen)
        self._offer(chosen + self._greedy(free, [0] * len(free)))
        numbers = {r: number for number, r in enumerate(sorted(set().union(*(self.members[i] for i in free))))}
        needs = [[numbers[r] for r in self.members[i]] for i in free]
        program = Program([self.weights[i] for i in free], needs, len(numbers), self.budget)
        relaxed = program.relax(self.best_weight - sunk)
        self._offer(chosen + self._greedy(free, relaxed.shares))
        room = relaxed.bound - (self.best_weight - sunk)
        kept = [(i, share) for i, share, less in zip(free, relaxed.shares, relaxed.slack, strict=True) if less < room]
        if room <= 0 or not kept:
            return []
        pivot = min(kept, key=lambda pair: (abs(pair[1] - HALF), pair[0]))[0]
        rest = [i for i, _ in kept if i != pivot]
        beside = [i for i in rest if not self.members[i] & self.members[pivot]]
        return [(chosen, rest), ([*chosen, pivot], beside)]

    def _offer(self, positions: list[int]) -> None:
        weight = sum(self.weights[i] for i in positions)
        if weight > self.best_weight:
            self.best, self.best_weight = positions, weight

    def _greedy(self, free: list[int], shares: Sequence[float]) -> list[int]:
        """Return free bids that fit together: by share in the relaxation, then by weight for each resource."""
        ratio = {i: -(self.weights[i] // len(self.members[i])) for i in free}
        used: set[int] = set()
        taken = []
        for _, _, i in sorted((-share, ratio[i], i) for share, i in zip(shares, free, strict=True)):
            if not self.members[i] & used:
                used |= self.members[i]
                taken.append(i)
        return taken
