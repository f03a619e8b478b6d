"""The tape of a package as bytes: the canonical CSV whose SHA-256 fixes a version, and the masked one for outsiders.

Canonical: UTF-8, LF, comma, RFC 4180 quotes where needed, rows in order of the case key by code point, amounts with the
currency's decimals, dates ISO, empty for unknown. No identity, name or phone is in either.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from marketplace.cases.domain.masking import SMALLEST_GROUP, amount_band, birth_year_band
from marketplace.cases.domain.sheet import to_csv
from marketplace.money import Money, exponent
from marketplace.packages.domain.package import FrozenCase

COLUMNS: Final = (
    "case_key", "product", "customer_type", "currency", "principal", "interest", "other", "days_past_due", "default_on",
    "originated_on", "grade", "litigation", "written_off", "security", "credit_limit", "province", "city", "birth_year",
    "sex", "guaranteed", "collateral_kind", "collateral_value", "prior_liens", "registered_cap", "collateral_city",
)  # fmt: skip

MASKED_COLUMNS: Final = (
    "number", "borrower", "product", "customer_type", "currency", "principal", "interest", "other", "days_past_due",
    "originated_year", "grade", "litigation", "written_off", "security", "province", "city", "birth_years", "sex",
    "guaranteed", "collateral_kind", "collateral_value", "collateral_city",
)  # fmt: skip


def full_rows(cases: Iterable[FrozenCase], *, currency: str) -> Iterable[tuple[Any, ...]]:
    """Rows of the tape for seller and operator, in order of the case key."""
    for case in sorted(cases, key=lambda case: case.case_key):
        yield (
            case.case_key, case.product, case.customer_type, currency, _text(case.principal, currency),
            _text(case.interest, currency), _text(case.other, currency), case.days_past_due, case.default_on,
            case.originated_on, case.grade, case.litigation, _flag(case.written_off), case.security,
            _text(case.credit_limit_minor, currency), case.province, case.city, case.birth_year, case.sex,
            _flag(case.guaranteed), case.collateral_kind, _text(case.collateral_value_minor, currency),
            _text(case.prior_liens_minor, currency), _text(case.registered_cap_minor, currency), case.collateral_city,
        )  # fmt: skip


def canonical_csv(cases: Iterable[FrozenCase], *, currency: str) -> bytes:
    """Return the canonical CSV; the same cases give the same bytes."""
    return to_csv(COLUMNS, full_rows(cases, currency=currency))


def masked_rows(cases: Sequence[FrozenCase], *, currency: str) -> Iterable[tuple[Any, ...]]:
    """Rows for outsiders: no key of the seller, names cut to one character, birth years and amounts in bands.

    Birth-year band, sex and city are left out where fewer than five borrowers of the package share city and band.
    """
    decimals = exponent(currency)
    groups: defaultdict[tuple[str | None, str | None, str | None], set[bytes]] = defaultdict(set)
    for case in cases:
        groups[_group(case)].add(case.borrower)
    shared = Counter({group: len(borrowers) for group, borrowers in groups.items()})

    def band(minor: int | None) -> str | None:
        return None if minor is None else amount_band(minor, decimals=decimals)

    for number, case in enumerate(sorted(cases, key=lambda case: case.case_key), start=1):
        city, years, sex = _group(case) if shared[_group(case)] >= SMALLEST_GROUP else (None, None, None)
        yield (
            number, case.borrower_masked_name, case.product, case.customer_type, currency, band(case.principal),
            band(case.interest), band(case.other), case.days_past_due,
            case.originated_on.year if case.originated_on else None, case.grade, case.litigation,
            _flag(case.written_off), case.security, case.province, city, years, sex, _flag(case.guaranteed),
            case.collateral_kind, band(case.collateral_value_minor), case.collateral_city if city else None,
        )  # fmt: skip


def masked_csv(cases: Sequence[FrozenCase], *, currency: str) -> bytes:
    """Return the masked tape."""
    return to_csv(MASKED_COLUMNS, masked_rows(cases, currency=currency))


def _group(case: FrozenCase) -> tuple[str | None, str | None, str | None]:
    return case.city, birth_year_band(case.birth_year), case.sex


def _text(minor: int | None, currency: str) -> str | None:
    return None if minor is None else Money(minor, currency).text


def _flag(value: bool) -> str:  # noqa: FBT001 - private
    return "true" if value else "false"
