"""The reference's Dutch, hybrid and gong auctions; see `reference_documents`."""

from tests.auctions.reference_rules import Auction, English


class Dutch(Auction):
    """A price that falls on a time table; it ends when taken."""

    def setup(self):
        steps = self.rules["steps"]
        self.seconds, self.count, self.drop = steps["seconds"] * 1000, steps["count"], self.read(steps["drop"])
        self.first = self.opens + steps["pause_seconds"] * 1000
        self.end = self.last = self.first + self.seconds * self.count

    def shown(self, at):
        return self.start - (at - self.first) // self.seconds * self.drop

    def refused_here(self, attempt):
        if attempt.at < self.first:
            return "wrong_phase"
        return "price_changed" if attempt.amount is not None and attempt.amount != self.shown(attempt.at) else None

    def accept(self, attempt):
        self.log.append((attempt.who, self.shown(attempt.at)))
        self.end = attempt.at

    def take(self, at, event):
        answer = super().take(at, event)
        return {key: value for key, value in answer.items() if key != "minimum_next"}

    def minimum(self):
        return None

    def resumed(self, stop):
        self.end += stop.length
        self.first += stop.length

    def position(self):
        rows = self.valid()
        return (rows[-1][2], rows[-1][1]) if rows else (None, None)

    def ranking(self):
        price, leader = self.position()
        return [(leader, price)] if leader else []


class Hybrid(Dutch):
    """Falling prices, then sealed bids above the taken price, then the taker's best bid; a fixed time table."""

    def setup(self):
        super().setup()
        pause = self.rules["pause_seconds"] * 1000
        self.sealed = self.last + pause
        self.sealed_end = self.sealed + self.rules["sealed_seconds"] * 1000
        self.best = self.sealed_end + pause
        self.best_end = self.best + self.rules["best_bid_seconds"] * 1000
        self.least_end = self.taken = 0

    def taker(self):
        return next(((who, amount) for _, who, kind, amount in self.valid() if kind == "accept"), (None, None))

    def sealed_bids(self, phase="sealed"):
        held = {}
        for sequence, who, kind, amount in self.valid():
            if kind == phase + " withdraw":
                held.pop(who, None)
            elif kind == phase + " bid" and held.get(who, (None,))[0] != amount:
                held[who] = (amount, sequence)
        return held

    def ends_at(self):
        end = self.last if self.taker()[0] is None else self.best_end if self.sealed_bids() else self.sealed_end
        return max(end, self.least_end)

    def phase(self, at):
        if self.first <= at < self.last:
            return "dutch"
        if self.sealed <= at < self.sealed_end:
            return "sealed"
        return "best" if self.best <= at < self.best_end else "pause"

    def refused_here(self, attempt):  # noqa: PLR0911 - a line for each line of the text
        phase, taker = self.phase(attempt.at), self.taker()[0]
        if phase == "pause" or (phase == "dutch") != (attempt.kind == "accept"):
            return "taken" if attempt.kind == "accept" and taker and phase == "dutch" else "wrong_phase"
        if phase == "dutch":
            if taker is not None:
                return "taken"
            return "price_changed" if attempt.amount is not None and attempt.amount != self.shown(attempt.at) else None
        if phase == "best" and attempt.who != taker:
            return "not_eligible"
        if attempt.kind == "withdraw":
            return None if attempt.who in self.sealed_bids(phase) else "nothing_to_withdraw"
        if phase == "sealed" and attempt.who == taker:
            return "not_eligible"
        floor = self.taken
        if phase == "best":
            floor = max([floor, *(row[0] for row in self.sealed_bids().values())])
        return "below_minimum" if attempt.amount <= floor else None

    def accept(self, attempt):
        if attempt.kind == "accept":
            self.taken = self.shown(attempt.at)
            self.log.append((attempt.who, attempt.kind, self.taken))
        else:
            self.log.append((attempt.who, f"{self.phase(attempt.at)} {attempt.kind}", attempt.amount))

    def shows(self):
        return self.log[-1][1] == "accept"

    def strike(self, who):
        self.least_end = self.ends_at()
        super().strike(who)

    def resumed(self, stop):
        for name in ("first", "last", "sealed", "sealed_end", "best", "best_end"):
            setattr(self, name, getattr(self, name) + stop.length)
        self.least_end += stop.length if self.least_end else 0

    def ranking(self):
        taker, taken = self.taker()
        rows = {who: (amount, sequence) for who, (amount, sequence) in self.sealed_bids().items()}
        if taker is not None:
            sequence = next(row[0] for row in self.valid() if row[2] == "accept")
            rows[taker] = self.sealed_bids("best").get(taker, (taken, sequence))
        return [(who, rows[who][0]) for who in sorted(rows, key=lambda w: (-rows[w][0], rows[w][1]))]

    def position(self):
        rows = self.ranking()
        return (rows[0][1], rows[0][0]) if rows else (None, None)

    def result(self, as_of):
        """Sealed bids make a price only once they are opened, at the end of their phase."""
        result = super().result(as_of)
        looked = as_of if as_of is not None else self.stopped if self.stopped is not None else self.ends_at()
        if result["state"] != "sold" and looked < self.sealed_end:
            result["price"] = self.taker()[1]
        return result


class Gong(Auction):
    """Rounds that each ask one price, a step above the price reached."""

    def setup(self):
        self.pause, self.round = self.rules["pause_seconds"] * 1000, self.rules["round_seconds"] * 1000
        self.stop, self.begins = self.time(self.rules["stop_at"]), self.opens
        self.end, self.extension = min(self.opens + self.round, self.stop), self.round

    position = English.position

    def minimum(self):
        return (self.position()[0] or self.start) + self.step(0)

    def refused_here(self, attempt):
        price, leader = self.position()
        if attempt.at < self.begins:
            return "wrong_phase"
        if attempt.who == leader:
            return "already_leading"
        if attempt.kind == "accept":
            return "price_changed" if attempt.amount is not None and attempt.amount != self.minimum() else None
        if attempt.amount < self.minimum():
            return "below_start" if price is None else "below_minimum"
        return "off_grid" if (attempt.amount - self.start) % self.step(0) else None

    def accept(self, attempt):
        self.log.append((attempt.who, self.minimum() if attempt.kind == "accept" else attempt.amount))
        self.begins = attempt.at + self.pause
        end = self.stop if self.begins >= self.stop else min(self.begins + self.round, self.stop)
        if end > self.end:
            self.end, self.extensions = end, self.extensions + 1

    def resumed(self, stop):
        self.stop += stop.length
        self.begins += stop.length
        self.end = min(stop.at + max(stop.left, self.round), self.stop)

    ranking = English.ranking
