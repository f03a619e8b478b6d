"""A second, naive English and proxy auction for the tests: milliseconds and cents, all recomputed from the log."""


class Reference:
    """`rules`: proxy opens end start step reserve bidders window extension base hard_end ranks clock."""

    def __init__(self, **rules):
        vars(self).update(rules)
        self.log, self.void, self.stopped, self.extensions = [], set(), None, 0

    def position(self):
        """Price, leader and each bidder's (maximum, place) by applying all that is in force from the beginning."""
        price, leader, held = None, None, {}
        for place, (who, amount) in enumerate(self.log):
            if who in self.void:
                continue
            if not self.proxy:
                price, leader, held[who] = amount, who, (amount, place)
                continue
            own_raise = who == leader
            held[who] = (amount, place)
            order = sorted(held, key=lambda w: (-held[w][0], held[w][1]))
            if own_raise:
                order = [leader, *(w for w in order if w != leader)]
            best, leader = held[order[0]][0], order[0]
            if len(order) == 1:
                asked = self.start
            else:
                second = held[order[1]][0]
                asked = min(best, second + self.step(second))
            if price is None or (not own_raise and asked > price):
                price = asked
            if self.reserve is not None and best >= self.reserve:
                price = max(price, self.reserve)
        return price, leader, held

    def minimum(self):
        price = self.position()[0]
        return self.start if price is None else price + self.step(price)

    def attempt(self, at, who, amount):  # noqa: PLR0911 - one line for each line of the rules
        price, leader, held = self.position()
        if self.stopped is not None:
            return "suspended"
        if at < self.opens:
            return "not_open"
        if at >= self.end:
            return "late"
        if who in self.void:
            return "voided"
        if who == leader and not self.proxy:
            return "already_leading"
        if who == leader and amount <= held[who][0]:
            return "maximum_not_raised"
        better = leader is not None and self.ranks.get(who, 9) < self.ranks.get(leader, 9)
        if who != leader and amount < self.minimum() and not (better and amount == price):
            return "below_start" if price is None else "below_minimum"
        self.log.append((who, amount))
        if self.position()[:2] != (price, leader):
            self.move_end(at)
        return None

    def move_end(self, at):
        new = self.end
        if self.clock is not None and len(self.log) == 1:
            new = at + self.clock if self.hard_end is None else min(at + self.clock, max(self.hard_end, self.end))
        elif self.end - at <= self.window:
            new = (at if self.base == "bid" else self.end) + self.extension
            new = max(self.end, new if self.hard_end is None else min(new, self.hard_end))
        self.end, self.extensions = new, self.extensions + (new > self.end)

    def suspend(self, at):
        if self.stopped is None and at < self.end:
            self.stopped = at

    def resume(self, at):
        if self.stopped is not None:
            left, length = self.end - self.stopped, at - self.stopped
            self.end, self.stopped = at + max(left, self.extension), None
            self.hard_end = None if self.hard_end is None else self.hard_end + length

    def result(self, at):
        price, leader, held = self.position()
        if self.stopped is not None:
            return "suspended", None
        if at < self.end:
            return ("scheduled" if at < self.opens else "open"), None
        enough = leader is not None and len(held) >= self.bidders and price >= (self.reserve or 0)
        return ("sold", leader) if enough else ("unsold", None)

    def ranking(self):
        price, leader, held = self.position()
        rows = {who: (amount, place) for who, (amount, place) in held.items() if who != leader}
        if not self.proxy and leader:
            rows[leader] = held[leader]
            order = sorted(rows, key=lambda who: (-rows[who][0], self.ranks.get(who, 9), rows[who][1]))
            return [(who, rows[who][0]) for who in order]
        others = sorted(rows, key=lambda who: (-rows[who][0], rows[who][1]))
        return ([(leader, price)] if leader else []) + [(who, rows[who][0]) for who in others]
