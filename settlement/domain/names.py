"""Names of payers as banks write them: cut short, full-width, with or without the legal form. Pure.

Two questions: is this the registered buyer (yes or no, so a third party is never taken for it), and how alike are two
names (a score for suggestions only).
"""

import functools
import re
import unicodedata
from collections.abc import Collection
from typing import Final

from rapidfuzz import fuzz

_LEGAL_FORMS: Final = re.compile(
    r"股份有限公司|有限责任公司|有限公司|集团公司|分公司|公司"
    r"|\b(?:co|company|ltd|limited|inc|incorporated|corp|corporation|llc|plc|gmbh|ag|sa|bv|srl|sarl|spa)\b",
    re.IGNORECASE,
)
_REMEMBERED: Final = 4_096
"""Spellings kept: a statement names the same few payers over and over."""

_INSIDE: Final = 0.9  # no money: a likeness of names
_SHORTEST_PART: Final = 4
"""A name of this length on that stands inside another is nine tenths of being it."""

_SHORTEST_CUT: Final = 12
"""Characters from which on a name that another one begins with is taken for that name cut short by the bank."""


@functools.lru_cache(maxsize=_REMEMBERED)
def plain_name(name: str) -> str:
    """Return a name as it is compared: half-width, lower case, letters and digits only, without legal forms.

    A name that is nothing but a legal form is kept, so that two of them are not both nothing.
    """
    text = unicodedata.normalize("NFKC", name).casefold()
    short = re.sub(r"[\W_]+", "", _LEGAL_FORMS.sub(" ", text.replace(".", "")))
    return short or re.sub(r"[\W_]+", "", text)


@functools.lru_cache(maxsize=_REMEMBERED)
def plain_account(number: str) -> str:
    """Return an account number as it is compared: letters and digits only, upper case."""
    text = number if number.isascii() else unicodedata.normalize("NFKC", number)
    return text.upper() if text.isalnum() else "".join(char for char in text.upper() if char.isalnum())


def same_name(one: str, other: str) -> bool:
    """Say whether two names are one: equal as compared, or one is the other cut short by a bank's field."""
    left, right = sorted((plain_name(one), plain_name(other)), key=len)
    return bool(left) and (left == right or (len(left) >= _SHORTEST_CUT and right.startswith(left)))


def likeness(one: str, other: str) -> int:
    """How alike two names are, 0 to 100: equal spelling 100, one inside the other and swapped characters less."""
    left, right = plain_name(one), plain_name(other)
    if not left or not right:
        return 0
    inside = fuzz.partial_ratio(left, right) * _INSIDE if min(len(left), len(right)) >= _SHORTEST_PART else 0
    return round(max(fuzz.ratio(left, right), inside))


def is_third_party(name: str, account: str, *, names: Collection[str], accounts: Collection[str]) -> bool:
    """Say whether a payer differs from the registered one: by account where its accounts are known, else by name.

    A bank that names neither says nothing that differs.
    """
    number = plain_account(account)
    if number and accounts:
        return number not in accounts
    return bool(plain_name(name)) and not any(same_name(name, known) for known in names)
