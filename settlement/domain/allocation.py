"""Which case receives how much: largest remainder over millions of weights, exact to the minor unit.

`marketplace.money.share_out` is the reference and decides outside the ranges in which 64-bit arithmetic is exact; the
vectorised path gives the same parts some forty times faster. Not here: what a weight is (the caller chooses).
"""

import heapq
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from marketplace.money import share_out

Integers = NDArray[np.int64]

MAX_WHOLE: Final = 2**61
"""Sum of the weights below which a remainder of an estimate that is off by one still fits 64 bits with its sign."""

MAX_PART: Final = 2**50
"""Part below which an estimate in double precision (five roundings of 2⁻⁵³) is off by less than one half."""


class NothingToShareBy(ValueError):
    """All weights are zero, and there is money to share."""


def allocate(total: int, weights: Sequence[int] | Integers, keys: Sequence[str]) -> Integers:
    """Split `total` minor units by `weights` so that the parts add up to it exactly; parts in the order given.

    Largest remainder; ties: larger weight, then smaller key by code point (rules.md, Valuation). Weights are integers
    of zero or more, `keys` distinct, one for each weight; a zero weight receives nothing. The part of a key does not
    depend on the order given. Raises `NothingToShareBy`; ValueError for what is negative or of unequal length.
    """
    if len(weights) != len(keys):
        raise ValueError("one key for each weight")
    fast = _small(weights)
    if fast is None:
        return _by_reference(total, [int(weight) for weight in weights], keys)
    whole = int(fast.sum())
    if total and not whole:
        raise NothingToShareBy
    if total < 0 or not whole or (len(fast) and total * int(fast.max()) // whole >= MAX_PART):
        return _by_reference(total, fast.tolist(), keys)
    return _by_estimate(total, fast, whole, keys)


def _small(weights: Sequence[int] | Integers) -> Integers | None:
    """Return the weights as 64-bit integers when their sum is below `MAX_WHOLE`, None otherwise."""
    try:
        array = np.asarray(weights, dtype=np.int64)
    except OverflowError:
        return None
    if not len(array):
        return array
    if int(array.min()) < 0:
        raise ValueError("only weights of zero or more are shared by")
    return array if int(array.max()) * len(array) < MAX_WHOLE else None


def _by_reference(total: int, weights: Sequence[int], keys: Sequence[str]) -> Integers:
    if total and not any(weights):
        raise NothingToShareBy
    return np.array(share_out(total, weights, keys), dtype=np.int64)


def _by_estimate(total: int, weights: Integers, whole: int, keys: Sequence[str]) -> Integers:
    """Estimate each part in floating point, take the exact remainder in wrapping 64-bit arithmetic, correct by one.

    The estimate never reaches a result: the remainder `total × weight - part × whole` is computed modulo 2⁶⁴ and is
    right because its true value lies between -whole and 2 × whole, which `MAX_WHOLE` keeps inside 63 bits.
    """
    ratio = float(total) / float(whole)  # no money: an estimate that the exact remainder corrects
    parts: Integers = (weights * ratio).astype(np.int64)
    with np.errstate(over="ignore"):
        remainders: Integers = weights * np.int64(total) - parts * np.int64(whole)
    low, high = remainders < 0, remainders >= whole
    parts += high
    parts -= low
    remainders += low * np.int64(whole)
    remainders -= high * np.int64(whole)
    assert int(remainders.min()) >= 0
    assert int(remainders.max()) < whole
    rest = total - int(parts.sum())
    if rest:
        parts[_first(remainders, weights, keys, rest)] += 1
    return parts


def _first(remainders: Integers, weights: Integers, keys: Sequence[str], count: int) -> Any:
    """Return the positions of the `count` first by (larger remainder, larger weight, smaller key)."""
    edge = np.partition(remainders, len(remainders) - count)[len(remainders) - count]
    chosen = np.flatnonzero(remainders > edge)
    tied = np.flatnonzero(remainders == edge)
    missing = count - len(chosen)
    if missing < len(tied):
        tied = _first_of_equals(tied, weights, keys, missing)
    return np.concatenate([chosen, tied])


def _first_of_equals(tied: Any, weights: Integers, keys: Sequence[str], count: int) -> Any:
    heavy = weights[tied]
    edge = np.partition(heavy, len(heavy) - count)[len(heavy) - count]
    chosen, equal = tied[heavy > edge], tied[heavy == edge]
    by_key = heapq.nsmallest(count - len(chosen), equal.tolist(), key=keys.__getitem__)
    return np.concatenate([chosen, np.array(by_key, dtype=np.int64)])
