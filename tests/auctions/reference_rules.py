"""The reference's open ascending formats and what all formats share; see `reference_documents`."""

from typing import NamedTuple

NOBODY = 10**9
NEVER = 10**18


class Attempt(NamedTuple):
    at: int
    kind: str
    who: str
    amount: int | None
    lots: list[str] | None


class Stop(NamedTuple):
    """A suspension that is over: when it ended, how long it was, how much bidding was left when it began."""

    at: int
    length: int
    left: int


class Auction:
    """What the fine print says of every format: order of checks, suspension, void, result."""

    told = True
    """Whether answers show sequence, price, leader and the least next amount."""
    extension = 0

    def __init__(self, rules, read, step, time):
        self.rules, self.read, self.step, self.time = rules, read, step, time
        self.opens = time(rules["opens_at"])
        self.start = read(rules["start_price"]) if "start_price" in rules else None
        self.reserve = read(rules["reserve_price"]) if rules.get("reserve_price") is not None else None
        self.log, self.void, self.stopped, self.extensions = [], set(), None, 0
        self.ranks = {row["bidder"]: row["rank"] for row in rules.get("priority") or []}
        self.setup()

    def setup(self):
        soft = self.rules.get("soft_close") or {}
        self.end = self.time(self.rules["ends_at"])
        self.window = soft.get("window_seconds", -1) * 1000 if soft else -1
        self.extension = soft.get("extension_seconds", 0) * 1000
        self.base = soft.get("base", "bid")
        self.hard = self.time(soft["hard_end"]) if soft.get("hard_end") is not None else None

    def ends_at(self):
        return self.end

    def valid(self):
        """The accepted attempts in force, with their sequence."""
        return [(n, *row) for n, row in enumerate(self.log, 1) if row[0] not in self.void]

    def take(self, at, event):
        kind, who = event["kind"], event.get("bidder")
        if kind in ("suspend", "resume", "void"):
            {"suspend": self.suspend, "resume": self.resume, "void": self.strike}[kind](who if kind == "void" else at)
            return {"accepted": True}
        amount = None if event.get("amount") is None else self.read(event["amount"])
        attempt = Attempt(at, kind, who, amount, event.get("lots"))
        code = self.refused(attempt)
        if code is not None:
            minimum = self.told and (code.startswith("below") or code in ("off_grid", "already_leading"))
            return {"accepted": False, "code": code} | ({"minimum_next": self.minimum()} if minimum else {})
        self.accept(attempt)
        if not self.shows():
            return {"accepted": True, "ends_at": self.ends_at()}
        price, leader = self.position()
        shown = {"accepted": True, "sequence": len(self.log), "price": price, "leader": leader}
        return shown | ({"minimum_next": self.minimum()} if self.told else {}) | {"ends_at": self.ends_at()}

    def shows(self):
        return self.told

    def refused(self, attempt):
        if self.stopped is not None:
            return "suspended"
        if attempt.at < self.opens:
            return "not_open"
        if attempt.at >= self.ends_at():
            return "late"
        if attempt.who in self.void:
            return "voided"
        return self.refused_here(attempt)

    def suspend(self, at):
        if self.stopped is None and at < self.ends_at():
            self.stopped = at

    def resume(self, at):
        if self.stopped is not None:
            stop = Stop(at, at - self.stopped, self.ends_at() - self.stopped)
            self.stopped = None
            self.resumed(stop)

    def resumed(self, stop):
        self.end = stop.at + max(stop.left, self.extension)
        if self.hard is not None:
            self.hard += stop.length

    def strike(self, who):
        self.void.add(who)

    def result(self, as_of):
        price, leader = self.position()
        over = as_of is None or as_of >= self.ends_at()
        ranking = self.ranking()
        if self.stopped is not None:
            state = "suspended"
        elif not over:
            state = "scheduled" if as_of < self.opens else "open"
        else:
            state = "sold" if leader is not None and self.enough(ranking) else "unsold"
        awards = self.awards(price, ranking) if state == "sold" else []
        return {
            "state": state, "winner": leader if state == "sold" else None, "price": price,
            "ranking": ranking, "awards": awards,
        }  # fmt: skip

    def least(self):
        """What a price or a runner-up's amount must reach."""
        raises = self.rules.get("minimum_raises") or 0
        return max(self.reserve or 0, self.start + raises * self.step(self.start) if raises else 0)

    def enough(self, ranking):
        return len(ranking) >= self.rules.get("minimum_bidders", 1) and ranking[0][1] >= self.least()

    def awards(self, price, ranking):
        rows = []
        for place, (who, amount) in enumerate(ranking[: self.rules.get("awards", 1)]):
            state = "pending" if place == 0 else "waiting" if amount >= self.least() else "unsuccessful"
            rows.append({"bidder": who, "price": price if place == 0 else amount, "state": state})
        return rows


class English(Auction):
    def position(self):
        rows = self.valid()
        return (rows[-1][2], rows[-1][1]) if rows else (None, None)

    def minimum(self):
        price = self.position()[0]
        return self.start if price is None else price + self.step(price)

    def refused_here(self, attempt):
        price, leader = self.position()
        if attempt.who == leader:
            return "already_leading"
        better = self.ranks.get(attempt.who, NOBODY) < self.ranks.get(leader, NOBODY)
        match = leader is not None and attempt.amount == price and better
        if attempt.amount < self.minimum() and not match:
            return "below_start" if price is None else "below_minimum"
        if self.rules.get("grid") and (attempt.amount - self.start) % self.step(0):
            return "off_grid"
        return None

    def accept(self, attempt):
        before = self.position()
        self.log.append((attempt.who, attempt.amount))
        clock = self.rules.get("first_bid_clock_seconds")
        if clock is not None and len(self.log) == 1:
            most = NEVER if self.hard is None else max(self.hard, self.end)
            end = min(attempt.at + clock * 1000, most)
            self.end, self.extensions = end, self.extensions + (end > self.end)
        elif self.position() != before and self.end - attempt.at <= self.window:
            self.extend(attempt.at)

    def extend(self, at):
        end = (at if self.base == "bid" else self.end) + self.extension
        end = end if self.hard is None else min(end, self.hard)
        if end > self.end:
            self.end, self.extensions = end, self.extensions + 1

    def ranking(self):
        best = {}
        for sequence, who, amount in self.valid():
            if who not in best or amount > best[who][0]:
                best[who] = (amount, sequence)
        order = sorted(best, key=lambda w: (-best[w][0], self.ranks.get(w, NOBODY), best[w][1]))
        return [(who, best[who][0]) for who in order]


class TwoPhase(English):
    def setup(self):
        self.cycle = self.rules["cycle_seconds"] * 1000
        self.free = self.time(self.rules["ends_at"])
        self.end = self.free + self.cycle

    def accept(self, attempt):
        self.log.append((attempt.who, attempt.amount))
        if attempt.at >= self.free and attempt.at + self.cycle > self.end:
            self.end, self.extensions = attempt.at + self.cycle, self.extensions + 1

    def resumed(self, stop):
        self.end = stop.at + max(stop.left, self.cycle)
        self.free = self.end - self.cycle


class Proxy(English):
    def held(self):
        """Price, leader and each bidder's (maximum, sequence), all applied again from the first."""
        price, leader, held = None, None, {}
        for sequence, who, amount in self.valid():
            own = who == leader
            held[who] = (amount, sequence)
            order = sorted(held, key=lambda w: (-held[w][0], held[w][1]))
            leader, best = order[0], held[order[0]][0]
            second = held[order[1]][0] if len(order) > 1 else None
            if not own:
                asked = self.start if second is None else min(best, second + self.step(second))
                price = asked if price is None else max(price, asked)
            if self.reserve is not None and best >= self.reserve:
                price = max(price, self.reserve)
        return price, leader, held

    def position(self):
        return self.held()[:2]

    def refused_here(self, attempt):
        price, leader, held = self.held()
        if attempt.who == leader:
            return "maximum_not_raised" if attempt.amount <= held[attempt.who][0] else None
        if attempt.amount < self.minimum():
            return "below_start" if price is None else "below_minimum"
        return None

    def ranking(self):
        price, leader, held = self.held()
        others = sorted((w for w in held if w != leader), key=lambda w: (-held[w][0], held[w][1]))
        return ([(leader, price)] if leader else []) + [(who, held[who][0]) for who in others]
