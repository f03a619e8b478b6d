"""Masking by default, before an award (`rules.md`, Packages and tapes; PIPL Art. 6 and 51).

Names keep their first character, identity numbers nothing, phones nothing (after the award first three and last four),
birth years become bands of ten, groups of fewer than five persons are not told apart.
"""

import bisect
from typing import Final

SMALLEST_GROUP: Final = 5
"""A cell with fewer persons could point at one of them."""

HIDDEN: Final = "***"

AMOUNT_LIMITS: Final = (10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000, 10_000_000)
"""Limits of the size bands, in major units."""


def mask_name(name: str) -> str:
    """`张伟` becomes `张*`: the first character and one star, whatever the length."""
    return name[:1] + "*"


def mask_phone(phone: str) -> str:
    """First three and last four digits; only to be shown after the award. Short numbers are hidden whole."""
    return phone[:3] + "****" + phone[-4:] if len(phone) >= 11 else HIDDEN  # noqa: PLR2004 - a mobile number's length


def birth_year_band(year: int | None) -> str | None:
    """`1987` becomes `1980-1989`."""
    return None if year is None else f"{year // 10 * 10}-{year // 10 * 10 + 9}"


def amount_band(minor: int, *, decimals: int) -> str:
    """Band of an amount for outsiders, in major units, lower bound inclusive: `10000-50000`, the last `10000000-`."""
    major = minor // 10**decimals
    position = bisect.bisect_right(AMOUNT_LIMITS, major)
    lower = AMOUNT_LIMITS[position - 1] if position else 0
    return f"{lower}-{AMOUNT_LIMITS[position]}" if position < len(AMOUNT_LIMITS) else f"{lower}-"


def hidden(found: str) -> str:
    """What an error report shows of a personal value: only how long it is."""
    return f"({len(found)} characters, hidden)"
