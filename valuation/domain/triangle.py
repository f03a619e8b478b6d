"""Chain ladder: what incomplete vintages will have collected in the end, from how older ones went on."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from marketplace.documents import BadDocument, Node
from valuation.domain import figures
from valuation.domain.figures import ONE, ZERO, Answer, Step, exact, to_currency, total
from valuation.domain.inputs import Amount, Length, MoneyInputs

_MAX_AGES = 600

Row = tuple[Amount, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainLadder(MoneyInputs):
    """`triangle`: a row per vintage, oldest first, of cumulative collections by age; none longer than the one above."""

    triangle: Annotated[tuple[Annotated[Row, Length(1, _MAX_AGES)], ...], Length(1)]

    def check(self, node: Node) -> None:
        """Refuse a row longer than the one above, and a column whose sum is nothing but is divided by."""
        place = node.child("triangle")
        for index in range(1, len(self.triangle)):
            if len(self.triangle[index]) > len(self.triangle[index - 1]):
                raise BadDocument(
                    place.child(index).pointer, f"{len(self.triangle[index])} ages", "no more ages than the row above"
                )
        for age, (below, _) in enumerate(_column_sums(self.triangle)):
            if not below:
                raise BadDocument(place.pointer, f"a sum of 0 at age {age + 1}", "collections at every age divided by")


@exact
def _column_sums(triangle: Sequence[Row]) -> list[tuple[Decimal, Decimal]]:
    """Return, for each age but the last, (sum at it, sum at the next) over the rows that reached the next."""
    sums = [(ZERO, ZERO)] * (len(triangle[0]) - 1)
    for row in triangle:
        for age in range(len(row) - 1):
            below, above = sums[age]
            sums[age] = (below + row[age], above + row[age + 1])
    return sums


@dataclass(frozen=True, slots=True)
class ChainLadderResult:
    """`factors` from age to age, `ultimates` per vintage, `remaining` what all vintages will still collect."""

    factors: tuple[Decimal, ...]
    ultimates: tuple[Decimal, ...]
    remaining: Decimal


@exact
def chain_ladder(inputs: ChainLadder) -> Answer:
    """Carry each vintage to the oldest age by volume-weighted factors; no tail beyond the oldest."""
    factors = [above / below for below, above in _column_sums(inputs.triangle)]
    to_ultimate = [ONE]
    for factor in reversed(factors):
        to_ultimate.append(to_ultimate[-1] * factor)
    to_ultimate.reverse()
    ultimates = [row[-1] * to_ultimate[len(row) - 1] for row in inputs.triangle]
    collected = total(row[-1] for row in inputs.triangle)
    remaining = total(ultimates) - collected
    result = ChainLadderResult(
        factors=tuple(figures.round_once(factor, 6) for factor in factors),
        ultimates=tuple(to_currency(ultimate, inputs.currency) for ultimate in ultimates),
        remaining=to_currency(remaining, inputs.currency),
    )
    steps = [
        Step(f"ultimate of vintage {number}", ultimate) for number, ultimate in enumerate(result.ultimates, start=1)
    ]
    collected_step = Step("collected so far", to_currency(collected, inputs.currency))
    return Answer(result, [*steps, collected_step, Step("remaining", result.remaining)])
