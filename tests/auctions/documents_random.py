"""Random valid replay documents: rules of every format, events chosen where the reference says that it matters."""

from tests.auctions.reference_documents import Words, auction_of, instant, milliseconds

OPENS = milliseconds("2026-03-02T12:00:00.000Z")
BIDDERS = ["A", "B", "C", "D"]
SCALES = [1, 1, 100, 2**31 + 1, 2**50 + 1]
KINDS = {
    "english": ["bid"], "proxy": ["maximum"], "two_phase": ["bid"], "sealed_first_price": ["bid", "bid", "withdraw"],
    "sealed_second_price": ["bid", "bid", "withdraw"], "dutch": ["accept"],
    "hybrid_dutch": ["accept", "bid", "bid", "withdraw"], "gong": ["accept", "bid", "bid"],
    "package": ["bid", "bid", "bid", "withdraw"],
}  # fmt: skip
FORMATS = list(KINDS)
FIXED_TABLES = ("dutch", "hybrid_dutch", "gong")


class Choice:
    """Draws from a `random.Random`, be it true or Hypothesis's own, which shrinks."""

    def __init__(self, source):
        self.source = source

    def of(self, *values):
        return values[self.source.randrange(len(values))]

    def upto(self, least, most):
        return self.source.randint(least, most)

    def chance(self, one_in):
        return self.source.randrange(one_in) == 0


class Draft:
    """One document being drawn: its rules, and the reference playing along to say which moments and amounts matter."""

    def __init__(self, choice, format_name):
        self.choice, self.format_name, self.scale = choice, format_name, choice.of(*SCALES)
        currency = choice.of("CNY", "CNY", "JPY", "KWD")
        self.words = Words(currency)
        self.rules = {"format": format_name, "currency": currency, "opens_at": instant(OPENS)} | self.keys()
        self.rules |= {name: value for name, value in self.options().items() if not choice.chance(3)}
        self.auction = auction_of(self.rules)

    def money(self, least, most):
        return self.words.write(self.choice.upto(least, most) * self.scale)

    def increment(self, *, fixed):
        kind = "fixed" if fixed else self.choice.of("fixed", "percent", "bands")
        if kind == "fixed":
            return {"kind": kind, "amount": self.money(1, 20)}
        if kind == "percent":
            return {"kind": kind, "percent": self.choice.of("5", "7.5", "0.125", "33.3"), "minimum": self.money(1, 20)}
        froms = [0, *range(60, 60 + 30 * self.choice.upto(0, 3), 30)]
        bands = [{"from": self.words.write(low * self.scale), "amount": self.money(1, 25)} for low in froms]
        return {"kind": kind, "bands": bands}

    def keys(self):
        choice, name, rules = self.choice, self.format_name, {}
        if name not in FIXED_TABLES:
            rules["ends_at"] = instant(OPENS + 60_000)
        if name != "package":
            rules["start_price"] = self.money(100, 100) if "dutch" in name else self.money(1, 60)
        if name in ("english", "proxy", "two_phase", "gong") or (name == "sealed_first_price" and choice.chance(2)):
            grid = name in ("english", "two_phase") and choice.chance(4)
            rules["increment"] = self.increment(fixed=grid or name == "gong")
            rules |= {"grid": True} if grid else {}
        if name in ("english", "proxy") and choice.chance(2):
            rules["soft_close"] = self.soft_close()
        if name == "two_phase":
            rules["cycle_seconds"] = choice.upto(1, 20)
        if name == "package":
            lots = [{"lot": f"L{number}", "reserve": self.money(0, 20)} for number in range(1, 1 + choice.upto(1, 4))]
            rules |= {"lots": lots, "unsold_lots_count": choice.of("nothing", "at_reserve")}
        return rules | self.table()

    def soft_close(self):
        choice = self.choice
        soft = {"window_seconds": choice.upto(0, 30), "extension_seconds": choice.upto(0, 30)}
        soft |= {"base": choice.of("bid", "end")} if choice.chance(2) else {}
        hard = {"hard_end": choice.of(None, instant(OPENS + 60_000 + choice.upto(0, 60_000)))}
        return soft | (hard if choice.chance(3) else {})

    def table(self):
        upto, name, rules = self.choice.upto, self.format_name, {}
        if "dutch" in name:
            steps = {"count": upto(1, 8), "seconds": upto(1, 9), "drop": self.money(1, 12), "pause_seconds": upto(0, 5)}
            rules["steps"] = steps
        if name in ("hybrid_dutch", "gong"):
            rules["pause_seconds"] = upto(0, 5)
        if name == "hybrid_dutch":
            rules |= {"sealed_seconds": upto(1, 20), "best_bid_seconds": upto(1, 20)}
        if name == "gong":
            rules |= {"round_seconds": upto(1, 20), "stop_at": instant(OPENS + upto(1, 90) * 1000)}
        return rules

    def options(self):
        choice, name, rules = self.choice, self.format_name, {}
        if name not in FIXED_TABLES:
            rules["minimum_bidders"] = choice.upto(0, 3)
        if name not in ("dutch", "package"):
            rules["awards"] = choice.upto(1, 3)
        if name not in FIXED_TABLES and name != "package":
            rules["reserve_price"] = choice.of(None, self.money(30, 200))
        if name in ("english", "proxy"):
            rules["first_bid_clock_seconds"] = choice.of(None, choice.upto(1, 90))
        if name in ("english", "two_phase"):
            rules["priority"] = [{"bidder": who, "rank": choice.upto(1, 2)} for who in BIDDERS[: choice.upto(0, 3)]]
        if name == "package":
            rules["exclusive_bids_per_bidder"] = choice.of(True, False)
        if name in ("english", "two_phase", "sealed_first_price"):
            rules["minimum_raises"] = choice.upto(0, 3) if "increment" in self.rules else 0
        return rules

    def moment(self, now):
        """Around the end, the window and the borders of phases, or somewhat later."""
        choice, auction = self.choice, self.auction
        if choice.chance(8):
            return auction.ends_at() + choice.of(-1, -1, -1, 0, 1)
        if choice.chance(6):
            borders = ("free", "first", "last", "sealed", "sealed_end", "best", "begins")
            return choice.of(*(getattr(auction, name, now) for name in borders)) + choice.of(-1, 0, 1)
        if choice.chance(4) and getattr(auction, "window", -1) >= 0:
            return auction.end - auction.window + choice.of(-1, 0, 1)
        return now + choice.of(0, 1, choice.upto(0, 9_000), choice.upto(0, 9_000), choice.upto(0, 30_000))

    def amount(self):
        """Around what is asked, the reserve, the start and what others offered."""
        auction, scale = self.auction, self.scale
        offered = [value for row in auction.log for value in row[1:] if isinstance(value, int)]
        near = [auction.minimum() if auction.told else None, auction.reserve, auction.start]
        known = [value for value in near if value is not None] + offered[-4:]
        off = self.choice.of(0, 0, 0, 1, -1, scale, -scale, 7 * scale, 20 * scale, 60 * scale)
        return self.words.write(max(0, self.choice.of(*(known or [10 * scale])) + off))

    def event(self):
        choice, odd, who = self.choice, self.choice.upto(0, 24), self.choice.of(*BIDDERS)
        if odd == 0:
            return {"kind": "suspend"}
        if odd == 1 or (self.auction.stopped is not None and odd < 14):
            return {"kind": "resume"}
        if odd == 2:
            return {"kind": "void", "bidder": choice.of(who, "Z")} | (
                {"reason": "guarantor"} if choice.chance(2) else {}
            )
        event = {"kind": choice.of(*KINDS[self.format_name]), "bidder": who}
        if event["kind"] in ("bid", "maximum"):
            event["amount"] = self.amount()
        if event["kind"] == "accept" and choice.chance(4):
            price = self.auction.position()[0]
            event["amount"] = self.words.write(price if price and choice.chance(3) else self.auction.start)
        return event | (self.lots() if self.format_name == "package" and event["kind"] == "bid" else {})

    def lots(self):
        lots = [row["lot"] for row in self.rules["lots"]] + (["L9"] if self.choice.chance(9) else [])
        chosen = [lot for lot in lots if self.choice.chance(2)] or [self.choice.of(*lots)]
        return {"lots": chosen[:: self.choice.of(1, -1)]}


def document_of(source, format_name):
    """Return one valid document, drawn from `source`."""
    choice = Choice(source)
    draft = Draft(choice, format_name)
    now, events = OPENS - choice.of(0, 0, 0, 1, 1000), []
    for _ in range(choice.upto(0, 16)):
        now = max(now, draft.moment(now))
        events.append({"at": instant(now)} | draft.event())
        draft.auction.take(now, events[-1])
    document = {"rules": draft.rules, "events": events}
    if choice.chance(3):
        end = draft.auction.ends_at()
        document["as_of"] = instant(choice.of(now, end, end - 1, OPENS, OPENS - 1, OPENS + choice.upto(0, 90_000)))
    return document | ({"as_of": None} if "as_of" not in document and choice.chance(2) else {})
