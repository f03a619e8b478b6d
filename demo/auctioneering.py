"""Bidders of the demonstration: each with a limit and a temper, bidding over HTTP with an API key of its own."""

import json
import os
import random
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from demo.client import ApiProblem, Client
from demo.sale import ROUND_SUM, Sale, bid, value

EXPECTED_REFUSALS = {"already_leading", "below_minimum", "below_start", "late", "not_open", "suspended", "too_fast"}


@dataclass
class Bidder:
    """A bidder: goes up to `limit`, thinks about `pause` seconds between attempts; takes the live door where one is."""

    name: str
    client: Client
    limit: Decimal
    pause: float
    seed: int
    accepted: int = 0
    refused: int = 0
    door: Client | None = None

    def play(self, sale: Sale) -> None:
        """Bid until the auction is over or the limit is reached."""
        dice = random.Random(self.seed)
        while True:
            standing = self.client.get(f"/auctions/{sale.auction_id}")
            if self.door is None:
                live = standing["live_url"]
                self.door = self.client if live is None else Client(live, self.client.token)
            if standing["state"] not in {"scheduled", "open", "suspended"}:
                return
            amount = value(standing["minimum_next"]) + sale.step * dice.choice([0, 0, 0, 1])
            if standing["state"] == "open" and standing["leader"] != standing["you"] and amount <= self.limit:
                self._try(self.door, sale, amount)
            time.sleep(self.pause * dice.uniform(0.5, 1.5))

    def _try(self, door: Client, sale: Sale, amount: Decimal) -> None:
        try:
            bid(door, sale, amount)
            self.accepted += 1
        except ApiProblem as problem:
            if problem.code not in EXPECTED_REFUSALS:
                raise
            self.refused += 1


def compete(bidders: list[Bidder], sale: Sale) -> None:
    """Let all bid at once, each in a thread, until the auction is over; raise what went wrong in any of them."""
    failures: list[BaseException] = []

    def play(bidder: Bidder) -> None:
        try:
            bidder.play(sale)
        except BaseException as failure:  # noqa: BLE001 - shown by the main thread
            failures.append(failure)

    threads = [threading.Thread(target=play, args=(bidder,)) for bidder in bidders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def refusals(sale: Sale, outsider: Client, bidder: Client) -> list[str]:
    """Try what must not work on the open auction; return the codes of the refusals."""
    codes = []
    for client, amount in ((outsider, sale.start), (bidder, sale.start - sale.step), (bidder, sale.start / 2)):
        try:
            bid(client, sale, amount)
            codes.append("accepted?!")
        except ApiProblem as problem:
            codes.append(problem.code)
    return sorted(set(codes))


def wait_until_open(client: Client, sale: Sale) -> None:
    """Wait until bidding has opened by the server's clock."""
    client.wait_for(f"/auctions/{sale.auction_id}", lambda standing: standing["state"] == "open", seconds=60)


def keep_bidding(state: dict[str, Any]) -> None:
    """Bid slowly on the auction that was left open, for as long as it lasts."""
    start = Decimal(state["start"])
    sale = Sale(name="", step=Decimal(state["step"]), listing={"auction_id": state["auction_id"]})
    bidders = []
    for place, (name, key) in enumerate(state["keys"].items()):
        limit = (start * (Decimal("1.6") + Decimal(place) / 4)).quantize(ROUND_SUM)
        bidders.append(
            Bidder(name, Client(state["url"], key), limit, pause=15.0 + 6 * place, seed=place + int(time.time()))
        )
    compete(bidders, sale)


def load_state() -> dict[str, Any]:
    """Return what the journey left for later."""
    return dict(json.loads(Path(os.environ["DEMO_STATE"]).read_text()))


def remaining(ends_at: str) -> str:
    """Return an end as people read it."""
    return datetime.fromisoformat(ends_at).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
