"""What open ascending formats share: price, leader, and of each bidder in force its last bid.

Amounts never fall along the log of the bids in force, so a bidder's last bid is its best, and the last of all is the
price. A void therefore needs no log: the last bid of those that remain stands.
"""

from collections.abc import Mapping
from typing import Any

from auctions.domain.course import Course
from auctions.domain.formats import Ranked


class Ascending(Course):
    """A course with a rising price; `_best` holds (amount, sequence) by bidder in order of sequence."""

    price: int | None = None
    leader: str | None = None
    _best: dict[str, tuple[int, int]]

    def _lead(self, bidder: str, amount: int) -> None:
        """Let an accepted bid lead."""
        self.price, self.leader = amount, bidder
        self._best.pop(bidder, None)
        self._best[bidder] = (amount, self.sequence)

    def _void(self, bidder: str) -> None:
        if self._best.pop(bidder, None) is not None and self.leader == bidder:
            self.leader = next(reversed(self._best), None)
            self.price = None if self.leader is None else self._best[self.leader][0]

    def _rank(self, bidder: str) -> int:
        """Return the rank of a bidder's pre-emption right, 1 the best; equal where a format knows none."""
        del bidder
        return 0

    def _ranking(self) -> list[Ranked]:
        best = self._best.items()
        rows = sorted((-amount, self._rank(bidder), number, bidder) for bidder, (amount, number) in best)
        return [Ranked(bidder, -amount) for amount, _, _, bidder in rows]

    def _dump(self) -> dict[str, Any]:
        best = [[bidder, amount, number] for bidder, (amount, number) in self._best.items()]
        return {"price": self.price, "leader": self.leader, "best": best}

    def _load(self, dump: Mapping[str, Any]) -> None:
        self.price, self.leader = dump["price"], dump["leader"]
        self._best = {bidder: (amount, number) for bidder, amount, number in dump["best"]}
