"""Two phases, as bulk loan sales in China use them: free bidding until `ends_at`, then delay cycles.

A delay cycle of `cycle_seconds` follows the free phase even when nobody bid; each bid accepted in it starts it anew,
and the auction closes with the cycle in which nobody bids. The end of an auction is therefore always that of the cycle
that would close it: an English auction whose end lies a cycle later and whose soft close has the cycle as window and
extension. (Press on the first transfers at Yindeng, 2021: grade S.)
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from auctions.domain import reading
from auctions.domain.english import English, Rules, SoftClose, read_ascending
from auctions.domain.formats import AttemptKind, Phase
from marketplace.documents import Node


class TwoPhase(English):
    """A two-phase auction being played."""

    def _phase(self, at: datetime) -> Phase:
        return Phase.FREE if self.ends_at - at > self.extension else Phase.DELAY


class TwoPhaseFormat:
    """The keys of this format's rules, and its plays."""

    required: Sequence[str] = ("ends_at", "start_price", "increment", "cycle_seconds")
    optional: Sequence[str] = (
        "reserve_price",
        "grid",
        "minimum_bidders",
        "minimum_raises",
        "awards",
        "priority",
    )
    attempts: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {AttemptKind.BID: (("bidder", "amount"), ())}

    def read(self, members: Mapping[str, Node], currency: str) -> Rules:
        """Read the rules; raise `BadDocument`."""
        opens_at, ends_at = reading.end(members)
        cycle = reading.seconds(members["cycle_seconds"])
        soft = SoftClose(window=cycle, extension=cycle)
        return read_ascending(members, currency, opens_at=opens_at, ends_at=ends_at + cycle, soft=soft)

    def start(self, rules: Rules) -> TwoPhase:
        """Return an auction without events."""
        return TwoPhase(rules)

    def load(self, rules: Rules, dump: Mapping[str, Any]) -> TwoPhase:
        """Return the play that `dump` was taken from."""
        return TwoPhase(rules).restored(dump)
