"""Sharing a secret among holders so that any `threshold` of them have it and fewer know nothing (Shamir 1979).

Over GF(256) with the AES polynomial x^8 + x^4 + x^3 + x + 1: each byte of the secret is the value at 0 of a random
polynomial of degree threshold - 1, a share is its value at the holder's number. Whoever holds fewer shares can rule
out no secret at all.
"""

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Final

_POLYNOMIAL: Final = 0x11B
MAX_HOLDERS: Final = 255


def split(secret: bytes, *, holders: int, threshold: int, random: Callable[[int], bytes]) -> list[bytes]:
    """Return the shares of the holders 1, 2, … in order; `random(n)` gives n unpredictable bytes."""
    if not 1 <= threshold <= holders <= MAX_HOLDERS:
        raise ValueError("1 <= threshold <= holders <= 255")
    coefficients = [secret, *(random(len(secret)) for _ in range(threshold - 1))]
    return [bytes(_value(column, holder) for column in zip(*coefficients, strict=True)) for holder in _numbers(holders)]


def combine(shares: Mapping[int, bytes]) -> bytes:
    """Return the secret from shares by holder's number; too few or wrong shares give another secret, not an error."""
    if not shares or len({len(share) for share in shares.values()}) != 1 or not set(shares) <= set(_numbers()):
        raise ValueError("shares of equal length, by holders 1 to 255")
    weights = {holder: _weight(holder, list(shares)) for holder in shares}
    columns = zip(*([_times(weights[holder], byte) for byte in share] for holder, share in shares.items()), strict=True)
    return bytes(functools.reduce(operator.xor, column) for column in columns)


def _numbers(holders: int = MAX_HOLDERS) -> range:
    return range(1, holders + 1)


def _value(coefficients: Sequence[int], x: int) -> int:
    total = 0
    for coefficient in reversed(coefficients):
        total = _times(total, x) ^ coefficient
    return total


def _weight(holder: int, holders: Sequence[int]) -> int:
    """Lagrange's weight of a holder at 0: the product of other / (other - holder); minus is plus here."""
    weight = 1
    for other in holders:
        if other != holder:
            weight = _times(weight, _times(other, _inverse(other ^ holder)))
    return weight


def _times(left: int, right: int) -> int:
    product = 0
    while right:
        if right & 1:
            product ^= left
        left <<= 1
        if left & 0x100:
            left ^= _POLYNOMIAL
        right >>= 1
    return product


def _inverse(value: int) -> int:
    """Return value ** 254, which is 1 / value in a field of 256."""
    result = 1
    for _ in range(254):
        result = _times(result, value)
    return result
