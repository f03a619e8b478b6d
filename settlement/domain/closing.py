"""The closing of a sale: from the price through deductions and senior claims to each case, its liens and the holdback.

Pure. `funds_flow` takes the deductions; this adds what a sale of secured claims needs: senior claims by rank, liens on
single cases taken from that case's share, a ceiling for a case, money kept back for warranties, and the order in which
what a case receives pays its costs, interest and principal.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from collection.domain.balances import CIVIL_CODE, Order
from marketplace.errors import Conflict
from marketplace.money import EXACT, Money, share_out
from settlement.domain import funds_flow
from settlement.domain.allocation import allocate
from settlement.domain.funds_flow import Deduction, Fixed, FundsFlow, Percent, Taken
from settlement.domain.instalments import share_out_capped

ENGINE: Final = "closing-1"
"""Version of the rules in this file; it changes when a figure of theirs would."""


class Distribution(enum.StrEnum):
    """When a price is distributed: once the whole of it has come, or each instalment as it comes."""

    ON_COMPLETION = "on_completion"
    PER_INSTALMENT = "per_instalment"


class CollectionsRule(enum.StrEnum):
    """How the buyer gets what the seller collected after the cut-off, while some of the price is due."""

    PAID_OVER = "paid_over"
    NET_AGAINST_BALANCE = "net_against_balance"


class HoldbackAboveProceeds(Conflict):
    """A holdback of a fixed amount is more than what the seller would receive."""

    code = "holdback_above_proceeds"

    def __init__(self, holdback: Money, proceeds: Money) -> None:
        super().__init__(
            f"The holdback of {holdback} is above the proceeds of {proceeds}.", allowed=f"at most {proceeds.text}"
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody is paid before the seller: at most `amount`, and at most `cap` where there is one; low ranks first.

    `case` names the case whose share pays it (a lien); without one the whole price does. `account` is where the payee
    is paid, of no meaning to a figure.
    """

    name: str
    payee: str
    rank: int
    amount: Money
    cap: Money | None = None
    case: str | None = None
    account: str = ""

    @property
    def limit(self) -> int:
        """The most it is paid, minor units."""
        return self.amount.minor if self.cap is None else min(self.amount.minor, self.cap.minor)


@dataclass(frozen=True, slots=True)
class Paid:
    """A claim with what it was paid, minor units; the rest stays open with its debtor."""

    claim: Claim
    minor: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What the closing of one sale says beyond the fee schedule. `warranty_days`: how long a case can be sold back."""

    deductions: tuple[Deduction, ...] = ()
    claims: tuple[Claim, ...] = ()
    holdback: Percent | Fixed | None = None
    capped: bool = False
    order: Order = CIVIL_CODE
    warranty_days: int = 0
    distribution: Distribution = Distribution.ON_COMPLETION
    collections: CollectionsRule = CollectionsRule.PAID_OVER


@dataclass(frozen=True, slots=True)
class Cases:
    """The cases of a sale in columns of one length: distinct keys, weights, and ceilings in minor units or None."""

    keys: Sequence[str]
    weights: Sequence[int]
    caps: Sequence[int | None]


@dataclass(frozen=True, slots=True)
class Closing:
    """A sale closed. `flow.deductions` holds the senior claims too, after the deductions.

    For each case, in the order given, minor units: `price` (adds up to the gross), `net` (to the net), `proceeds` (net
    less the liens on it), `first` (what it receives at once: the proceeds less its part of the holdback).
    """

    flow: FundsFlow
    senior: tuple[Paid, ...]
    liens: tuple[Paid, ...]
    price: list[int]
    net: list[int]
    proceeds: list[int]
    holdback: Money
    first: list[int]


def close(*, price: Money, deposit: Money, deductions: Sequence[Deduction], terms: Terms, cases: Cases) -> Closing:
    """Close a sale. Raises `DeductionAboveRest`, `NoWeights`, `CapsBelowTotal`, `HoldbackAboveProceeds`."""
    flow, senior = price_flow(price=price, deposit=deposit, deductions=deductions, terms=terms)
    net = _net_shares(flow.net, cases, capped=terms.capped)
    liens = _pay_liens(net, cases.keys, [claim for claim in terms.claims if claim.case is not None])
    proceeds = dict(zip(cases.keys, net, strict=True))
    for one in liens:
        proceeds[one.claim.case or ""] -= one.minor
    whole = Money(sum(proceeds.values()), price.currency)
    holdback = _held(terms.holdback, whole)
    values = list(proceeds.values())
    return Closing(
        flow=flow,
        senior=senior,
        liens=tuple(liens),
        price=funds_flow.allocation(price, cases.weights, cases.keys).tolist(),
        net=net,
        proceeds=values,
        holdback=holdback,
        first=allocate((whole - holdback).minor, values, cases.keys).tolist() if whole else values,
    )


def price_flow(
    *, price: Money, deposit: Money, deductions: Sequence[Deduction], terms: Terms
) -> tuple[FundsFlow, tuple[Paid, ...]]:
    """Return what leaves the price before the cases share it, senior claims as the last deductions, and those claims.

    Needs no case. Raises `DeductionAboveRest`.
    """
    flow = funds_flow.flow(price=price, deposit=deposit, deductions=[*deductions, *terms.deductions])
    senior = pay_by_rank(flow.net.minor, [claim for claim in terms.claims if claim.case is None])
    return _less(flow, senior), tuple(senior)


def pay_by_rank(minor: int, claims: Sequence[Claim]) -> list[Paid]:
    """Pay claims out of `minor`: lower rank first, equal ranks pro rata to their limits; in the order given.

    Cents by largest remainder, ties: larger limit, then smaller name.
    """
    paid: dict[int, int] = {}
    for rank in sorted({claim.rank for claim in claims}):
        places = [place for place, claim in enumerate(claims) if claim.rank == rank]
        limits = [claims[place].limit for place in places]
        due = min(minor, sum(limits))
        names = [claims[place].name for place in places]
        paid.update(zip(places, share_out(due, limits, names), strict=True))
        minor -= due
    return [Paid(claim, paid[place]) for place, claim in enumerate(claims)]


def _less(flow: FundsFlow, senior: Sequence[Paid]) -> FundsFlow:
    currency = flow.gross.currency
    taken = [Taken(one.claim.name, one.claim.payee, Money(one.minor, currency)) for one in senior]
    net = Money(flow.net.minor - sum(one.minor for one in senior), currency)
    return FundsFlow(flow.gross, flow.deposit_applied, flow.balance_due, (*flow.deductions, *taken), net)


def _net_shares(net: Money, cases: Cases, *, capped: bool) -> list[int]:
    if not capped:
        return list(funds_flow.allocation(net, cases.weights, cases.keys).tolist())
    if net and not any(cases.weights):
        raise funds_flow.NoWeights
    return share_out_capped(net.minor, cases.weights, cases.caps, cases.keys)


def _pay_liens(net: Sequence[int], keys: Sequence[str], claims: Sequence[Claim]) -> list[Paid]:
    shares = dict(zip(keys, net, strict=True))
    by_case: dict[str, list[Claim]] = {}
    for claim in claims:
        by_case.setdefault(claim.case or "", []).append(claim)
    paid = {one.claim: one for case, own in by_case.items() for one in pay_by_rank(shares[case], own)}
    return [paid[claim] for claim in claims]


def _held(rule: Percent | Fixed | None, proceeds: Money) -> Money:
    match rule:
        case None:
            return Money.zero(proceeds.currency)
        case Percent(percent, rounding):
            return proceeds.portion(EXACT.multiply(percent, EXACT.create_decimal("0.01")), rounding)
        case Fixed(amount, up_to_rest):
            if amount > proceeds and not up_to_rest:
                raise HoldbackAboveProceeds(amount, proceeds)
            return min(amount, proceeds)
