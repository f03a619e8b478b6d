"""Monte Carlo: how far the sum of all-or-nothing outcomes scatters. The same seed gives the same bytes.

Outcomes are decided by integers: an asset pays in a draw when 64 random bits lie below its probability × 2^64. Totals
are exact integers of minor units; no float takes part.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

import numpy as np
import numpy.typing as npt

from marketplace.documents import BadDocument, Node
from marketplace.money import exponent
from valuation.domain import figures
from valuation.domain.figures import Answer, Step, exact, to_currency
from valuation.domain.inputs import Amount, Inputs, MoneyInputs, Rate, count

_MAX_WORK = 400_000_000
"""Most assets × draws: a few seconds."""
_BITS = 64
_LIMB = 10**10
"""Amounts have at most 21 digits; in limbs of ten digits a hundred thousand of them add up within 63 bits."""
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance(Inputs):
    """An asset that pays its value with a probability, and otherwise nothing; independent of all others."""

    value: Amount
    probability: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class MonteCarlo(MoneyInputs):
    """Assets, the number of draws and the seed of the generator (PCG64)."""

    assets: tuple[Chance, ...]
    draws: Annotated[int, count(1, 1_000_000)]
    seed: Annotated[int, count(0, 2**63 - 1)]

    def check(self, node: Node) -> None:
        """Refuse more assets × draws than an answer in seconds can hold."""
        if len(self.assets) * self.draws > _MAX_WORK:
            raise BadDocument(
                node.child("draws").pointer,
                f"{len(self.assets)} assets × {self.draws} draws",
                f"at most {_MAX_WORK} assets × draws",
            )


@dataclass(frozen=True, slots=True)
class MonteCarloResult:
    """Amounts. pN is the smallest drawn total that at least N % of the draws do not exceed; sd divides by draws."""

    mean: Decimal
    sd: Decimal
    p10: Decimal
    p50: Decimal
    p90: Decimal
    standard_error: Decimal


@exact
def monte_carlo(inputs: MonteCarlo) -> Answer:
    """Draw the total of the assets so many times and describe what was drawn."""
    totals = sorted(_totals(inputs))
    places, draws = exponent(inputs.currency), inputs.draws
    added, squares = sum(totals), sum(one * one for one in totals)
    variance = Decimal(draws * squares - added * added) / (draws * draws)

    def money(minor: Decimal) -> Decimal:
        return to_currency(minor.scaleb(-places), inputs.currency)

    def percentile(percent: int) -> Decimal:
        return money(Decimal(totals[-(-draws * percent // 100) - 1]))

    result = MonteCarloResult(
        mean=money(Decimal(added) / draws),
        sd=money(variance.sqrt()),
        p10=percentile(10),
        p50=percentile(50),
        p90=percentile(90),
        standard_error=money((variance / draws).sqrt()),
    )
    steps = [
        Step("sum of value × probability", to_currency(_expected(inputs), inputs.currency)),
        Step(f"mean of {draws} draws with seed {inputs.seed}", result.mean),
    ]
    return Answer(result, steps)


def _expected(inputs: MonteCarlo) -> Decimal:
    return figures.total(asset.value * asset.probability for asset in inputs.assets)


def _totals(inputs: MonteCarlo) -> Iterator[int]:
    """Yield the total of each draw in minor units. Draws go in chunks, in a chunk one asset after the other."""
    places = exponent(inputs.currency)
    values = [int(asset.value.scaleb(places)) for asset in inputs.assets]
    thresholds = [_threshold(asset.probability) for asset in inputs.assets]
    generator = np.random.PCG64(inputs.seed)
    for start in range(0, inputs.draws, _CHUNK):
        size = min(_CHUNK, inputs.draws - start)
        limbs: list[npt.NDArray[np.int64]] = [np.zeros(size, dtype=np.int64) for _ in range(3)]
        for value, threshold in zip(values, thresholds, strict=True):
            drawn = generator.random_raw(size)
            if threshold > 0:
                pays = drawn <= np.uint64(threshold - 1)
                for power in range(len(limbs)):
                    limbs[power] += pays * np.int64(value // _LIMB**power % _LIMB)
        for low, middle, high in zip(*(limb.tolist() for limb in limbs), strict=True):
            yield low + middle * _LIMB + high * _LIMB**2


def _threshold(probability: Decimal) -> int:
    return int(probability * 2**_BITS)
