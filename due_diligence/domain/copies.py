"""What a marked copy says, how copies are numbered, and how long a link lives. Pure."""

import unicodedata
import uuid
from datetime import datetime, timedelta
from typing import Final

LINK_LIFETIME: Final = timedelta(minutes=5)
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, U."""
_LONGEST_NAME: Final = 60


def copy_number(copy_id: uuid.UUID) -> str:
    """Return the number of a copy, such as `7K3M-9Q2X-4T`: the last 50 bits of its id, which are random in a UUIDv7.

    Numbers that count up would tell each reader how many copies the others took.
    """
    value, signs = copy_id.int & (2**50 - 1), []
    for _ in range(10):
        value, rest = divmod(value, 32)
        signs.append(_ALPHABET[rest])
    text = "".join(reversed(signs))
    return f"{text[:4]}-{text[4:8]}-{text[8:]}"


def mark_lines(*, organisation: str, reader: str, at: datetime, number: str) -> tuple[str, ...]:
    """Return the lines of the mark: who took the copy, when (UTC), and which copy it is.

    Names come from people: blanks are joined, signs that draw nothing are left out, long ones are cut with `…`.
    """
    return (
        f"{_shown(organisation)} · {_shown(reader)}",
        f"{at:%Y-%m-%d %H:%M:%S} UTC · 副本 Copy {number}",
    )


def _shown(name: str) -> str:
    seen = "".join(" " if char.isspace() else char for char in name if unicodedata.category(char)[0] != "C")
    text = " ".join(seen.split())
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"
