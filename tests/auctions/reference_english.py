"""A second, naive English auction for the tests: whole milliseconds and cents, everything recomputed each time."""


class Reference:
    def __init__(self, *, opens, ends, start, step, grid, window, extension, base, hard_end, reserve, bidders, ranks):
        self.opens, self.end, self.hard_end = opens, ends, hard_end
        self.start, self.step, self.grid = start, step, grid
        self.window, self.extension, self.base = window, extension, base
        self.reserve, self.bidders, self.ranks = reserve, bidders, ranks
        self.log, self.void, self.stopped, self.extensions = [], set(), None, 0

    def valid(self):
        return [row for row in self.log if row[0] not in self.void]

    def price(self):
        return self.valid()[-1][1] if self.valid() else None

    def leader(self):
        return self.valid()[-1][0] if self.valid() else None

    def minimum(self):
        return self.start if self.price() is None else self.price() + self.step(self.price())

    def bid(self, at, who, amount):  # noqa: C901, PLR0911 - one line for each line of the rules
        if self.stopped is not None:
            return "suspended"
        if at < self.opens:
            return "not_open"
        if at >= self.end:
            return "late"
        if who in self.void:
            return "voided"
        if who == self.leader():
            return "already_leading"
        better = self.leader() and who in self.ranks and self.ranks[who] < self.ranks.get(self.leader(), 10**9)
        if amount < self.minimum() and not (better and amount == self.price()):
            return "below_start" if self.price() is None else "below_minimum"
        if self.grid and (amount - self.start) % self.step(0) != 0:
            return "off_grid"
        self.log.append((who, amount))
        if self.end - at <= self.window:
            new = (at if self.base == "bid" else self.end) + self.extension
            if self.hard_end is not None and new > self.hard_end:
                new = self.hard_end
            if new > self.end:
                self.end, self.extensions = new, self.extensions + 1
        return None

    def suspend(self, at):
        if self.stopped is None and at < self.end:
            self.stopped = at

    def resume(self, at):
        if self.stopped is not None:
            left, length = self.end - self.stopped, at - self.stopped
            self.end, self.stopped = at + max(left, self.extension), None
            if self.hard_end is not None:
                self.hard_end += length

    def result(self):
        best = {}
        for number, (who, amount) in enumerate(self.log):
            if who not in self.void and amount > best.get(who, (0, 0))[0]:
                best[who] = (amount, number)
        ranking = sorted(best, key=lambda w: (-best[w][0], self.ranks.get(w, 10**9), best[w][1]))
        if self.stopped is not None:
            state = "suspended"
        else:
            enough = ranking and len(best) >= self.bidders and self.price() >= (self.reserve or 0)
            state = "sold" if enough else "unsold"
        return state, self.leader() if state == "sold" else None, [(w, best[w][0]) for w in ranking]
