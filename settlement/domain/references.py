"""References that people type into a wire, and how they are found in what banks make of a remittance text.

Deposits, deals and payment orders: `DP-7K3M9Q2X`, seven characters of Crockford's base 32 and one that checks
(`auctions.domain.references`). Payment notices: `RF18 1234 5678 90`, a creditor reference of ISO 11649 that banks know
as such: two check digits of ISO 7064 MOD 97-10 and ten digits. Of digits alone that check notices every wrong and every
swapped one, which it does not where letters stand among them.
"""

import enum
import re
import secrets
import unicodedata
from typing import Final

from stdnum.iso7064 import mod_97_10

from auctions.domain import references as deposit_references

_READ_AS: Final = str.maketrans("OIL", "011")
_GAP: Final = r"[\s\-._/‐-―]{0,3}"
_CHARACTER: Final = "[0-9A-TV-Z]"
_DIGIT: Final = "[0-9OIL]"
_NUMBER: Final = 10


class ReferenceKind(enum.StrEnum):
    """What a reference names, by its prefix."""

    DEPOSIT = "DP"
    DEAL = "INV"
    PAYMENT_ORDER = "PO"
    NOTICE = "RF"


_FORM: Final = re.compile(
    rf"(?=((?P<prefix>D{_GAP}P|P{_GAP}[O0]|[IL1]{_GAP}N{_GAP}V){_GAP}(?P<body>{_CHARACTER}(?:{_GAP}{_CHARACTER}){{7}})"
    rf"|R{_GAP}F{_GAP}(?P<number>{_DIGIT}(?:{_GAP}{_DIGIT}){{{_NUMBER + 1}}}))(?![0-9A-Z]))"
)
_NOISE: Final = re.compile(_GAP.removesuffix("{0,3}") + "+")
_KINDS: Final = {"D": ReferenceKind.DEPOSIT, "P": ReferenceKind.PAYMENT_ORDER}


def new_reference(kind: ReferenceKind) -> str:
    """Return a reference that nobody can guess the next one of; uniqueness is the caller's constraint."""
    if kind is ReferenceKind.NOTICE:
        return notice_reference(secrets.randbelow(10**_NUMBER))
    number = secrets.randbelow(deposit_references.NUMBERS)
    return f"{kind.value}-{deposit_references.make_reference(number).removeprefix(deposit_references.PREFIX)}"


def notice_reference(number: int) -> str:
    """Return the creditor reference of a number of up to ten digits."""
    body = f"{number:0{_NUMBER}}"
    return f"{ReferenceKind.NOTICE.value}{mod_97_10.calc_check_digits(body + ReferenceKind.NOTICE.value)}{body}"


def printed(reference: str) -> str:
    """Return a reference as people read it: a creditor reference in groups of four, the others as they are."""
    if kind_of(reference) is not ReferenceKind.NOTICE:
        return reference
    return " ".join(reference[start : start + 4] for start in range(0, len(reference), 4))


def kind_of(reference: str) -> ReferenceKind:
    """Return what a canonical reference names."""
    if reference.startswith(ReferenceKind.NOTICE.value):
        return ReferenceKind.NOTICE
    return ReferenceKind(reference.partition("-")[0])


def is_sound(reference: str) -> bool:
    """Say whether the check characters of a canonical reference fit."""
    if kind_of(reference) is ReferenceKind.NOTICE:
        return bool(mod_97_10.is_valid(reference[4:] + reference[:4]))
    return deposit_references.read_reference(deposit_references.PREFIX + reference.partition("-")[2]) is not None


def find_references(text: str) -> list[str]:
    """Return the sound references in a remittance text, canonical, each once, in order of appearance.

    Tolerates lower case, full-width characters, blanks, line breaks and hyphens anywhere inside or missing, O for 0,
    I and L for 1. Whatever fails its check characters is not a reference.
    """
    plain = unicodedata.normalize("NFKC", text).upper()
    found: dict[str, None] = {}
    for match in _FORM.finditer(plain):
        reference = _canonical(match)
        if is_sound(reference):
            found[reference] = None
    return list(found)


def _canonical(match: re.Match[str]) -> str:
    if match["number"] is not None:
        return ReferenceKind.NOTICE.value + _NOISE.sub("", match["number"]).translate(_READ_AS)
    kind = _KINDS.get(match["prefix"][0], ReferenceKind.DEAL)
    return f"{kind.value}-{_NOISE.sub('', match['body']).translate(_READ_AS)}"
