"""Default of the winner: whether the deposit is lost, and what a lost deposit is used for. Pure; the regimes are data.

Two regimes of the rules (`../shared/design/rules.md`, Auctions): judicial online 2016, Art. 24: lost whole, used for
sale costs, then the price gap of the next sale, then the debt (the seller). Offline 2020, Art. 25: used for costs and
gap, the rest goes back to the buyer, and what is missing stays a claim against it.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from marketplace.errors import Conflict, Invalid, NotFound
from marketplace.money import Money


class Use(enum.StrEnum):
    """What a lost deposit is used for before its rest."""

    SALE_COSTS = "sale_costs"
    PRICE_GAP = "price_gap"


class Rest(enum.StrEnum):
    """To whom the rest of a lost deposit goes."""

    SELLER = "seller"
    BUYER = "buyer"


class BadPolicy(Invalid):
    """A default policy must say exactly what is lost, for what, and to whom the rest goes."""

    code = "bad_default_policy"

    def __init__(self, part: str) -> None:
        super().__init__(f"The default policy is wrong at {part!r}.", part=part)


class PolicyMissing(Conflict):
    """No default policy is in force for the regime of an award."""

    code = "default_policy_missing"

    def __init__(self, regime: str, on: date) -> None:
        super().__init__(f"There is no default policy in force for {regime!r} on {on.isoformat()}.", regime=regime)


class PolicyStartsInThePast(Invalid):
    """A policy would change what a bidder was told before it bid."""

    code = "policy_starts_in_the_past"

    def __init__(self, on: date) -> None:
        super().__init__(f"A default policy is in force from a day after today, not from {on.isoformat()}.")


class ResalePriceUnknown(Conflict):
    """The price gap cannot be known before the package is sold again."""

    code = "resale_price_unknown"

    def __init__(self) -> None:
        super().__init__("The package is not sold again yet: say at which price, or wait for the next deal.")


class ForfeitureSettled(Conflict):
    """What the deposit is used for is posted already."""

    code = "forfeiture_settled"

    def __init__(self) -> None:
        super().__init__("This forfeited deposit was used already; nothing was posted.")


class DealNotOverdue(Conflict):
    """The balance is not late."""

    code = "deal_not_overdue"

    def __init__(self, due_on: date) -> None:
        super().__init__(f"Nothing is late in this deal: its balance is due on {due_on.isoformat()} or paid.")


class DealSettledAlready(Conflict):
    """The price of the deal, or an instalment of it, is distributed: a failed award does not take it back."""

    code = "deal_distributed"

    def __init__(self) -> None:
        super().__init__(
            "The price of this deal is distributed, in whole or in part; its award cannot come to nothing any more."
        )


class ForfeitureNotFound(NotFound):
    """There is no such forfeiture, or it is not the actor's."""

    def __init__(self, forfeiture_id: object) -> None:
        super().__init__("forfeiture", forfeiture_id)


@dataclass(frozen=True, slots=True)
class Policy:
    """`causes` cost the deposit; it pays `uses` in order, then the rest; `claim`: what is missing stays owed."""

    causes: frozenset[str]
    uses: tuple[Use, ...]
    rest: Rest
    claim: bool

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "Policy":
        """Return the policy that a document says; raise `BadPolicy`."""
        if set(document) != _PARTS:
            raise BadPolicy(min(set(document) ^ _PARTS))
        causes, uses, claim = document["causes"], document["uses"], document["claim"]
        if not isinstance(causes, list) or not all(isinstance(one, str) for one in causes):
            raise BadPolicy("causes")
        if not isinstance(uses, list) or len(set(map(str, uses))) != len(uses) or not set(map(str, uses)) <= set(Use):
            raise BadPolicy("uses")
        if document["rest"] not in set(Rest):
            raise BadPolicy("rest")
        if type(claim) is not bool:
            raise BadPolicy("claim")
        return cls(frozenset(causes), tuple(Use(one) for one in uses), Rest(document["rest"]), claim)


_PARTS: Final = {"causes", "uses", "rest", "claim"}


@dataclass(frozen=True, slots=True)
class Waterfall:
    """Where a lost deposit goes: the first four add up to it. `claim` is what the defaulter still owes."""

    sale_costs: Money
    price_gap: Money
    seller: Money
    buyer: Money
    claim: Money


def waterfall(policy: Policy, *, deposit: Money, sale_costs: Money, price: Money, resale_price: Money) -> Waterfall:
    """Use a lost deposit: each use takes what is left up to what it needs; a higher resale price leaves no gap."""
    zero = Money.zero(deposit.currency)
    needs = {Use.SALE_COSTS: sale_costs, Use.PRICE_GAP: max(price - resale_price, zero)}
    left, taken = deposit, dict.fromkeys(Use, zero)
    for use in policy.uses:
        taken[use] = min(needs[use], left)
        left -= taken[use]
    missing = Money(sum(needs[use].minor - taken[use].minor for use in policy.uses), deposit.currency)
    to_seller = policy.rest is Rest.SELLER
    return Waterfall(
        sale_costs=taken[Use.SALE_COSTS],
        price_gap=taken[Use.PRICE_GAP],
        seller=left if to_seller else zero,
        buyer=zero if to_seller else left,
        claim=missing if policy.claim else zero,
    )
