"""Replays real eBay auctions (2003-2004) through the proxy engine: how many final prices to the cent, why not all?

`python benchmarks/ebay_replay.py [FOLDER]`; the folder holds `bids.csv.gz` as described in its README. A bid is
a bidder's maximum; of the winner eBay tells only what was paid, and never a seller's hidden reserve. Therefore two
runs: as recorded, and with a reserve at the final price where the recorded one exceeds what the maxima explain.
"""

import collections
import csv
import gzip
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from auctions.domain.replay import replay
from marketplace.clock import parse_instant
from marketplace.documents import Node

FOLDER = ROOT.parent / "shared" / "data" / "ebay_auctions"
STEPS = ("0 0.05", "1 0.25", "5 0.50", "25 1.00", "100 2.50", "250 5.00", "500 10.00", "1000 25.00", "2500 50.00")
BANDS = [dict(zip(("from", "amount"), row.split(), strict=True)) for row in (*STEPS, "5000 100.00")]
OPENS = parse_instant("2003-01-01T00:00:00.000Z").timestamp()
DAY = 86_400


def auctions(folder: Path) -> dict[str, list[dict[str, str]]]:
    """Read the bids of each auction in order of time."""
    found: dict[str, list[dict[str, str]]] = collections.defaultdict(list)
    with gzip.open(folder / "bids.csv.gz", "rt", newline="") as file:
        for row in csv.DictReader(file):
            found[row["auctionid"]].append(row)
    return {name: sorted(rows, key=lambda row: float(row["bidtime"])) for name, rows in found.items()}


def played(rows: list[dict[str, str]], reserve: str | None) -> dict[str, Any]:
    """Replay one auction."""
    rules = {
        "format": "proxy", "currency": "USD", "opens_at": _instant(0), "ends_at": _instant(8),
        "start_price": _cents(rows[0]["openbid"]), "reserve_price": reserve,
        "increment": {"kind": "bands", "bands": BANDS},
    }  # fmt: skip
    events = [
        {"at": _instant(float(row["bidtime"])), "kind": "maximum", "bidder": row["bidder"] or "unknown",
         "amount": _cents(row["bid"])}
        for row in rows
    ]  # fmt: skip
    return replay(Node({"rules": rules, "events": events, "as_of": None}))


def _cents(text: str) -> str:
    whole, _, part = text.partition(".")
    return f"{whole}.{part[:2].ljust(2, '0')}"


def _instant(days: float) -> str:
    milliseconds = round((OPENS + days * DAY) * 1000)
    seconds, rest = divmod(milliseconds - round(OPENS * 1000), 1000)
    day, second = divmod(seconds, DAY)
    return f"2003-01-{day + 1:02d}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}.{rest:03d}Z"


def cause(rows: list[dict[str, str]], answer: dict[str, Any]) -> str:
    """Say why a replayed price is not the recorded one; each class is a computation, the first that fits."""
    recorded = minor(rows[0]["price"])
    if len({row["bidder"] for row in rows}) == 1 and minor(rows[0]["openbid"]) < recorded:
        return "one bidder and a price above its start: the record lacks bids"
    accepted = [row for row, told in zip(rows, answer["answers"], strict=True) if told["accepted"]]
    if by_maxima(accepted) == recorded:
        return "the winner raised its maximum at a tie or a cut step: eBay prices that anew, ours does not"
    if by_maxima(rows) == recorded:
        return "the runner-up's maximum was below price + increment: eBay took it, ours refuses it"
    highest = max(minor(row["bid"]) for row in rows)
    if recorded == highest > by_maxima(rows):
        return "the price is the winner's whole maximum, above what the others explain: a hidden reserve"
    return "unexplained"


def by_maxima(rows: list[dict[str, str]]) -> int:
    """Return eBay's price of the final maxima, in minor units: the second and its increment, at most the best."""
    held: dict[str, int] = collections.defaultdict(int)
    for row in rows:
        held[row["bidder"]] = max(held[row["bidder"]], minor(row["bid"]))
    best, *others = sorted(held.values(), reverse=True)
    if not others:
        return minor(rows[0]["openbid"])
    step = [minor(band["amount"]) for band in BANDS if minor(band["from"]) <= others[0]][-1]
    return min(best, others[0] + step)


def minor(text: str) -> int:
    """Read dollars as cents."""
    return int(_cents(text).replace(".", ""))


def _reserved(rows: list[dict[str, str]]) -> str:
    return str(played(rows, _cents(rows[0]["price"]))["price"])


def measure(folder: Path) -> collections.Counter[str]:
    """Replay every auction; count those to the cent and the causes of the rest."""
    counts: collections.Counter[str] = collections.Counter()
    for rows in auctions(folder).values():
        answer = played(rows, None)
        exact = answer["price"] == _cents(rows[0]["price"])
        counts["auctions"] += 1
        counts["to the cent" if exact else cause(rows, answer)] += 1
        counts["to the cent with a reserve at the final price"] += exact or _reserved(rows) == _cents(rows[0]["price"])
    return counts


if __name__ == "__main__":
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    if not (given / "bids.csv.gz").exists():
        sys.exit(f"skipped: there are no auctions in {given}")
    for name, number in measure(given).items():
        print(f"{number:5d} {name}")
