"""Deposit references and bidder codes: what a bidder types into a bank form, and the name others see.

A reference is `DP-` and eight characters of Crockford's base 32, the last a check character over GF(32): every single
wrong character and every swap of two characters is noticed. Crockford's own check (modulo 37) needs signs that banks
drop from a payment's text.
"""

import re
from typing import Final

PREFIX: Final = "DP-"
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BODY_LENGTH: Final = 7
NUMBERS: Final = 32**BODY_LENGTH
"""So many references there are; one is drawn at random for each registration."""

BIDDER_CODES: Final = range(1000, 10_000)

_READ: Final = str.maketrans("OIL", "011")
_FORM: Final = re.compile(r"DP([0-9A-HJKMNP-TV-Z]{8})", re.ASCII)


def make_reference(number: int) -> str:
    """Return the reference of a number in 0 … NUMBERS - 1."""
    if not 0 <= number < NUMBERS:
        raise ValueError("no such reference")
    digits = [number >> 5 * place & 31 for place in reversed(range(BODY_LENGTH))]
    return PREFIX + "".join(ALPHABET[digit] for digit in (*digits, _check(digits)))


def read_reference(text: str) -> str | None:
    """Return the reference that a text means: case, blanks, hyphens and O for 0, I and L for 1 are forgiven.

    None when it is no reference, or its check character is wrong.
    """
    plain = re.sub(r"[\s-]", "", text[:40]).upper()
    found = _FORM.fullmatch(plain[:2] + plain[2:].translate(_READ))
    if found is None:
        return None
    *digits, check = (ALPHABET.index(char) for char in found[1])
    return PREFIX + found[1] if _check(digits) == check else None


def _check(digits: list[int]) -> int:
    """Sum of digit times a distinct power of x, in GF(32) = GF(2)[x] / (x^5 + x^2 + 1); Horner's rule."""
    total = 0
    for digit in digits:
        total = _times_x(total ^ digit)
    return total


def _times_x(value: int) -> int:
    doubled = value << 1
    return doubled ^ 0b100101 if doubled & 0b100000 else doubled


def bidder_code(number: int) -> str:
    """Return the code of a number in BIDDER_CODES: `B-4821`."""
    return f"B-{number}"
