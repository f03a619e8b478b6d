"""References that people type into a wire: `DP-7K3M9Q2X`, seven characters of Crockford's base 32 and one that checks.

The characters and the check are those of deposit references (`auctions.domain.references`); deals and payment orders
have their own prefixes. Here they are found in what banks make of a remittance text.
"""

import enum
import re
import secrets
import unicodedata
from typing import Final

from auctions.domain import references as deposit_references

_READ_AS: Final = str.maketrans("OIL", "011")
_GAP: Final = r"[\s\-._/‐-―]{0,3}"
_CHARACTER: Final = "[0-9A-TV-Z]"


class ReferenceKind(enum.StrEnum):
    """What a reference names, by its prefix."""

    DEPOSIT = "DP"
    DEAL = "INV"
    PAYMENT_ORDER = "PO"


_FORM: Final = re.compile(
    rf"(?=((?P<prefix>D{_GAP}P|P{_GAP}[O0]|[IL1]{_GAP}N{_GAP}V){_GAP}(?P<body>{_CHARACTER}(?:{_GAP}{_CHARACTER}){{7}}))(?![0-9A-Z]))"
)
_NOISE: Final = re.compile(_GAP.removesuffix("{0,3}") + "+")


def new_reference(kind: ReferenceKind) -> str:
    """Return a reference that nobody can guess the next one of; uniqueness is the caller's constraint."""
    number = secrets.randbelow(deposit_references.NUMBERS)
    return f"{kind.value}-{deposit_references.make_reference(number).removeprefix(deposit_references.PREFIX)}"


def kind_of(reference: str) -> ReferenceKind:
    """Return what a canonical reference names."""
    return ReferenceKind(reference.partition("-")[0])


def is_sound(reference: str) -> bool:
    """Say whether the check character of a canonical reference fits."""
    return deposit_references.read_reference(deposit_references.PREFIX + reference.partition("-")[2]) is not None


def find_references(text: str) -> list[str]:
    """Return the sound references in a remittance text, canonical, each once, in order of appearance.

    Tolerates lower case, full-width characters, blanks, line breaks and hyphens anywhere inside or missing, O for 0,
    I and L for 1. Whatever fails its check character is not a reference.
    """
    plain = unicodedata.normalize("NFKC", text).upper()
    found: dict[str, None] = {}
    for match in _FORM.finditer(plain):
        reference = _canonical(match["prefix"], match["body"])
        if is_sound(reference):
            found[reference] = None
    return list(found)


def _canonical(prefix: str, body: str) -> str:
    letters = _NOISE.sub("", prefix)
    kind = {"D": ReferenceKind.DEPOSIT, "P": ReferenceKind.PAYMENT_ORDER}.get(letters[0], ReferenceKind.DEAL)
    return f"{kind.value}-{_NOISE.sub('', body).translate(_READ_AS)}"
