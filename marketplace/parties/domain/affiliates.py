"""Who stands behind an organisation: owners, officers and staff, as far as conflicts of interest ask for them."""

import enum
from typing import Final

from marketplace.errors import Conflict, Invalid

MAX_AFFILIATES: Final = 500
"""So many affiliates of one organisation at most."""


class AffiliateKind(enum.StrEnum):
    """What an affiliate is to its organisation."""

    OWNER = "owner"
    OFFICER = "officer"
    STAFF = "staff"


class AffiliateKnown(Conflict):
    """The organisation has named this person or company in this capacity already."""

    code = "affiliate_known"

    def __init__(self) -> None:
        super().__init__("This identity number is named in this capacity already.")


class TooManyAffiliates(Conflict):
    """More affiliates than one organisation may name."""

    code = "too_many_affiliates"

    def __init__(self) -> None:
        super().__init__(f"An organisation names at most {MAX_AFFILIATES} affiliates.")


class IdentityNumberMissing(Invalid):
    """Owners and officers are named with their identity number: without it nothing certain can be said."""

    code = "identity_number_missing"

    def __init__(self) -> None:
        super().__init__("Give the identity number (or the company code) of an owner or officer.")


def check_affiliate(kind: AffiliateKind, identity_number: str | None) -> None:
    """Refuse an owner or officer without identity number; raise `IdentityNumberMissing`."""
    if identity_number is None and kind is not AffiliateKind.STAFF:
        raise IdentityNumberMissing
