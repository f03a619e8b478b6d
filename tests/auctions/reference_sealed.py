"""The reference's sealed and package auctions; see `reference_documents`."""

from itertools import combinations

from tests.auctions.reference_rules import Auction


class Sealed(Auction):
    told = False

    def bids(self):
        """Each bidder's amount and the sequence of its last change."""
        held = {}
        for sequence, who, amount in self.valid():
            if amount is None:
                held.pop(who, None)
            elif who not in held or held[who][0] != amount:
                held[who] = (amount, sequence)
        return held

    def refused_here(self, attempt):
        if attempt.kind == "withdraw":
            return None if attempt.who in self.bids() else "nothing_to_withdraw"
        return "below_start" if attempt.amount < self.start else None

    def accept(self, attempt):
        self.log.append((attempt.who, attempt.amount))

    def ranking(self):
        held = self.bids()
        return [(who, held[who][0]) for who in sorted(held, key=lambda w: (-held[w][0], held[w][1]))]

    def position(self):
        rows = self.ranking()
        if not rows:
            return None, None
        if self.rules["format"] == "sealed_first_price":
            return rows[0][1], rows[0][0]
        second = rows[1][1] if len(rows) > 1 else self.start
        return max(second, self.reserve or 0), rows[0][0]

    def result(self, as_of):
        result = super().result(as_of)
        if result["state"] != "sold":
            result["price"] = None
        return result


class Package(Auction):
    told = False

    def setup(self):
        super().setup()
        self.lots = [row["lot"] for row in self.rules["lots"]]
        self.reserves = {row["lot"]: self.read(row["reserve"]) for row in self.rules["lots"]}

    def bids(self):
        held = {}
        for sequence, who, amount, lots in self.valid():
            if amount is None:
                held = {key: row for key, row in held.items() if key[0] != who}
            else:
                held[who, lots] = (amount, sequence)
        return [(sequence, who, lots, amount) for (who, lots), (amount, sequence) in held.items()]

    def refused_here(self, attempt):
        if attempt.kind == "withdraw":
            return None if any(row[1] == attempt.who for row in self.bids()) else "nothing_to_withdraw"
        if not set(attempt.lots) <= set(self.lots):
            return "no_such_lot"
        return "below_lot_reserves" if attempt.amount < sum(self.reserves[lot] for lot in attempt.lots) else None

    def accept(self, attempt):
        self.log.append((attempt.who, attempt.amount, None if attempt.lots is None else frozenset(attempt.lots)))

    def optimum(self):
        """Every set of bids tried: value, lots sold, fewer bids, smallest sorted sequences."""
        bids, best, won = self.bids(), None, ()
        for size in range(1, len(bids) + 1):
            for chosen in combinations(bids, size):
                sold = [lot for row in chosen for lot in row[2]]
                bidders = [row[1] for row in chosen]
                if len(set(sold)) < len(sold):
                    continue
                if self.rules.get("exclusive_bids_per_bidder") and len(set(bidders)) < size:
                    continue
                value = sum(row[3] for row in chosen)
                if self.rules["unsold_lots_count"] == "at_reserve":
                    value += sum(self.reserves[lot] for lot in self.lots if lot not in sold)
                key = (-value, -len(sold), size, sorted(row[0] for row in chosen))
                if best is None or key < best:
                    best, won = key, chosen
        return sorted(won)

    def result(self, as_of):
        over = as_of is None or as_of >= self.end
        if self.stopped is not None:
            state = "suspended"
        elif not over:
            state = "scheduled" if as_of < self.opens else "open"
        else:
            enough = len({row[1] for row in self.bids()}) >= self.rules.get("minimum_bidders", 1)
            state = "sold" if enough and self.bids() else "unsold"
        won = self.optimum() if state == "sold" else []
        awards = [
            {"bidder": who, "lots": [lot for lot in self.lots if lot in lots], "price": amount, "state": "pending"}
            for _, who, lots, amount in won
        ]
        price = sum(row[3] for row in won) if won else None
        return {"state": state, "winner": None, "price": price, "ranking": [], "awards": awards}
