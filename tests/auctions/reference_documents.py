"""A second replayer of whole documents for the tests, written from the file format's text alone: slow, small, unshared.

Times are milliseconds, amounts minor units. All is recomputed from the log of accepted attempts each time it is asked.
"""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.auctions.reference_rounds import Dutch, Gong, Hybrid
from tests.auctions.reference_rules import English, Proxy, TwoPhase
from tests.auctions.reference_sealed import Package, Sealed

DECIMALS = {"JPY": 0, "KWD": 3}
FORMATS = {
    "english": English, "proxy": Proxy, "two_phase": TwoPhase, "sealed_first_price": Sealed,
    "sealed_second_price": Sealed, "dutch": Dutch, "hybrid_dutch": Hybrid, "gong": Gong, "package": Package,
}  # fmt: skip
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds(instant):
    return (datetime.fromisoformat(instant) - EPOCH) // timedelta(milliseconds=1)


def instant(at):
    text = (EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class Words:
    """Amounts of one currency, in and out."""

    def __init__(self, currency):
        self.decimals = DECIMALS.get(currency, 2)

    def read(self, amount):
        return int(Decimal(amount).scaleb(self.decimals).to_integral_exact())

    def write(self, minor):
        if minor is None:
            return None
        if not self.decimals:
            return str(minor)
        whole, part = divmod(minor, 10**self.decimals)
        return f"{whole}.{part:0{self.decimals}d}"


def step_of(increment, words):
    """The increment as a function of the price."""
    if increment is None:
        return None
    if increment["kind"] == "fixed":
        return lambda _: words.read(increment["amount"])
    if increment["kind"] == "percent":
        minimum = words.read(increment["minimum"])
        share = Decimal(increment["percent"])
        scale = 10 ** max(0, -share.as_tuple().exponent)
        return lambda price: max(minimum, -(-price * int(share * scale) // (100 * scale)))
    bands = [(words.read(band["from"]), words.read(band["amount"])) for band in increment["bands"]]
    return lambda price: [amount for least, amount in bands if least <= price][-1]


def auction_of(rules):
    words = Words(rules["currency"])
    return FORMATS[rules["format"]](rules, words.read, step_of(rules.get("increment"), words), milliseconds)


def replayed(document):
    rules, as_of = document["rules"], document.get("as_of")
    words, auction = Words(rules["currency"]), auction_of(rules)
    digest = hashlib.sha256(canonical(rules)).digest()
    answers, limit = [], None if as_of is None else milliseconds(as_of)
    for number, event in enumerate(document["events"]):
        at = milliseconds(event["at"])
        if limit is not None and at > limit:
            break
        answer = {"event": number} | worded(auction.take(at, event), words)
        answers.append(answer)
        digest = hashlib.sha256(digest + canonical({"answer": answer, "event": event})).digest()
    result = auction.result(limit)
    return {
        "state": result["state"], "winner": result["winner"], "price": words.write(result["price"]),
        "ends_at": instant(auction.ends_at()), "extensions": auction.extensions, "accepted": len(auction.log),
        "ranking": [{"bidder": who, "amount": words.write(amount)} for who, amount in result["ranking"]],
        "awards": [award | {"price": words.write(award["price"])} for award in result["awards"]],
        "answers": answers, "log_hash": "sha256:" + digest.hex(),
    }  # fmt: skip


def worded(answer, words):
    written = dict(answer)
    for key in ("price", "minimum_next"):
        if key in written:
            written[key] = words.write(written[key])
    if "ends_at" in written:
        written["ends_at"] = instant(written["ends_at"])
    return written
