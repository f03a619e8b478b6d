"""The rules about who takes part: organisations and their numbers, licences and their days, users and their roles.

Credentials have their own file beside this one. Nothing here knows rows, requests or the clock.
"""

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from stdnum import lei as lei_number
from stdnum.cn import uscc as uscc_number
from stdnum.exceptions import ValidationError

from marketplace.actor import ROLES, Actor, OrganisationKind, Role
from marketplace.errors import Conflict, Invalid, Refused
from marketplace.lifecycle import Lifecycle

MARKET_ZONE: Final = "Asia/Shanghai"
"""The zone in which the calendar days of a licence are counted."""


class OrganisationState(enum.StrEnum):
    """Whether an organisation may take part; only an active one has access."""

    APPLIED = "applied"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    REJECTED = "rejected"


ORGANISATION: Final = Lifecycle(
    "Organisation",
    OrganisationState.APPLIED,
    [
        (OrganisationState.APPLIED, "approve", OrganisationState.ACTIVE),
        (OrganisationState.APPLIED, "reject", OrganisationState.REJECTED),
        (OrganisationState.ACTIVE, "suspend", OrganisationState.SUSPENDED),
        (OrganisationState.SUSPENDED, "reinstate", OrganisationState.ACTIVE),
    ],
)


class LicenceState(enum.StrEnum):
    """Whether the operator accepts a licence; expiry is derived from its days, not stored."""

    SUBMITTED = "submitted"
    APPROVED = "approved"
    REVOKED = "revoked"
    REJECTED = "rejected"


LICENCE: Final = Lifecycle(
    "Licence",
    LicenceState.SUBMITTED,
    [
        (LicenceState.SUBMITTED, "approve", LicenceState.APPROVED),
        (LicenceState.SUBMITTED, "reject", LicenceState.REJECTED),
        (LicenceState.APPROVED, "revoke", LicenceState.REVOKED),
    ],
)


class UserState(enum.StrEnum):
    """Whether a user may sign in."""

    ACTIVE = "active"
    DISABLED = "disabled"


USER: Final = Lifecycle(
    "User",
    UserState.ACTIVE,
    [
        (UserState.ACTIVE, "disable", UserState.DISABLED),
        (UserState.DISABLED, "enable", UserState.ACTIVE),
    ],
)


class LicenceKind(enum.StrEnum):
    """What a supervisor allows the holder to be."""

    BANK = "bank"
    CONSUMER_FINANCE = "consumer_finance"
    TRUST_COMPANY = "trust_company"
    FINANCIAL_LEASING = "financial_leasing"
    AUTO_FINANCE = "auto_finance"
    INTERNET_LENDER = "internet_lender"
    NATIONAL_AMC = "national_amc"
    LOCAL_AMC = "local_amc"
    AIC = "aic"
    VALUATION_FIRM = "valuation_firm"
    AUDIT_FIRM = "audit_firm"


_ASSET_MANAGERS = frozenset({LicenceKind.NATIONAL_AMC, LicenceKind.LOCAL_AMC, LicenceKind.AIC})

FITTING_LICENCES: Final[Mapping[OrganisationKind, frozenset[LicenceKind]]] = {
    OrganisationKind.OPERATOR: frozenset(),
    OrganisationKind.SELLER: _ASSET_MANAGERS
    | {
        LicenceKind.BANK,
        LicenceKind.CONSUMER_FINANCE,
        LicenceKind.TRUST_COMPANY,
        LicenceKind.FINANCIAL_LEASING,
        LicenceKind.AUTO_FINANCE,
        LicenceKind.INTERNET_LENDER,
    },
    OrganisationKind.BUYER: _ASSET_MANAGERS,
    OrganisationKind.VALUER: frozenset({LicenceKind.VALUATION_FIRM}),
    OrganisationKind.AUDITOR: frozenset({LicenceKind.AUDIT_FIRM}),
}
"""The licences by which each kind of organisation may act. Buyers: national AMCs, qualified local AMCs and AICs
(rules.md, Packages and tapes, S); the sellers' list is common knowledge of the pilot (K)."""

MANAGERS: Final[Mapping[OrganisationKind, Role]] = {
    OrganisationKind.OPERATOR: Role.OPERATOR_ADMIN,
    OrganisationKind.SELLER: Role.SELLER_MANAGER,
    OrganisationKind.BUYER: Role.BUYER_BIDDER,
    OrganisationKind.VALUER: Role.VALUER_APPRAISER,
}
"""The role that looks after an organisation's own users and keys. An auditor changes nothing, so it has none."""

_PROVINCE_RANGES = ((11, 15), (21, 23), (31, 37), (41, 46), (50, 54), (61, 65), (71, 71), (81, 82))

PROVINCES: Final = frozenset(str(code) for first, last in _PROVINCE_RANGES for code in range(first, last + 1))
"""Provinces, municipalities and regions of China by the first two digits of GB/T 2260."""


class InvalidUscc(Invalid):
    """The unified social credit code is missing or its check character is wrong."""

    code = "invalid_uscc"

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text[:40]!r} is not a unified social credit code: a Chinese organisation gives its 18 characters.",
        )


class InvalidLei(Invalid):
    """The legal entity identifier has wrong check digits."""

    code = "invalid_lei"

    def __init__(self, text: str) -> None:
        super().__init__(f"{text[:40]!r} is not a legal entity identifier (20 characters, ISO 17442).")


class InvalidCountry(Invalid):
    """The country is not two capital letters."""

    code = "invalid_country"

    def __init__(self, text: str) -> None:
        super().__init__(f"{text[:40]!r} is not a country code: two capital letters, ISO 3166-1.")


class InvalidProvince(Invalid):
    """The province is not one of China's, or is given for another country."""

    code = "invalid_province"

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text[:40]!r} is not a province of this country: for China the first two digits of GB/T 2260.",
        )


class LicenceDoesNotFit(Invalid):
    """This kind of organisation does not act under this kind of licence."""

    code = "licence_does_not_fit"

    def __init__(self, kind: LicenceKind, organisation_kind: OrganisationKind) -> None:
        allowed = sorted(FITTING_LICENCES[organisation_kind])
        super().__init__(
            f"A {organisation_kind} does not act under the licence {kind}; possible: {', '.join(allowed) or 'none'}.",
            allowed=allowed,
        )


class ProvinceMissing(Invalid):
    """A local asset management company acts in its province; the organisation names none."""

    code = "province_missing"

    def __init__(self) -> None:
        super().__init__("A local_amc licence binds its holder to a province; the organisation has none.")


class InvalidLicenceDays(Invalid):
    """The licence ends before it begins."""

    code = "invalid_licence_days"

    def __init__(self) -> None:
        super().__init__("valid_until_on is the first day on which the licence no longer holds: after valid_from_on.")


class RolesDoNotFit(Invalid):
    """No role, or one that this kind of organisation does not have."""

    code = "roles_do_not_fit"

    def __init__(self, organisation_kind: OrganisationKind) -> None:
        allowed = sorted(ROLES[organisation_kind])
        super().__init__(f"A {organisation_kind} has at least one of the roles {', '.join(allowed)}.", allowed=allowed)


class OperatorStays(Conflict):
    """The operator's own organisation cannot be suspended: nobody would be left to reinstate it."""

    code = "operator_stays"

    def __init__(self) -> None:
        super().__init__("The operator's own organisation cannot be suspended.")


class CannotDisableYourself(Conflict):
    """Somebody else has to disable this user, so that an organisation never loses its last manager by itself."""

    code = "cannot_disable_yourself"

    def __init__(self) -> None:
        super().__init__("You cannot disable yourself; another manager or the operator can.")


class ManagerNeeded(Refused):
    """Users, keys and licences of an organisation are looked after by its manager or the operator's admin."""

    code = "manager_needed"

    def __init__(self) -> None:
        super().__init__("Only a manager of the organisation or the operator's admin may do this.")


class PersonNeeded(Refused):
    """Users and keys are managed by people: a key that makes keys would outlive its own revocation."""

    code = "person_needed"

    def __init__(self) -> None:
        super().__init__("An API key cannot manage users, keys or passwords; sign in as a person.")


@dataclass(frozen=True, slots=True)
class Registration:
    """What an organisation is registered as: country, official numbers and province, all checked and normalised."""

    country: str
    uscc: str | None
    lei: str | None
    province: str | None


def register(*, country: str, uscc: str | None, lei: str | None, province: str | None, numbered: bool) -> Registration:
    """Check and normalise the official data of an organisation.

    `country` is ISO 3166-1 alpha-2. Chinese organisations (`CN`) give their unified social credit code (GB 32100-2015)
    when `numbered`; the LEI (ISO 17442) is optional everywhere. `province` is the two-digit GB/T 2260 code, China only.
    Raises `InvalidCountry`, `InvalidUscc`, `InvalidLei`, `InvalidProvince`.
    """
    if not re.fullmatch("[A-Z]{2}", country):
        raise InvalidCountry(country)
    if uscc is not None or (country == "CN" and numbered):
        uscc = _uscc(uscc or "")
    if lei is not None:
        lei = _lei(lei)
    if province is not None and (country != "CN" or province not in PROVINCES):
        raise InvalidProvince(province)
    return Registration(country=country, uscc=uscc, lei=lei, province=province)


def _uscc(text: str) -> str:
    try:
        return str(uscc_number.validate(text))
    except ValidationError:
        raise InvalidUscc(text) from None


def _lei(text: str) -> str:
    try:
        return str(lei_number.validate(text))
    except ValidationError:
        raise InvalidLei(text) from None


def check_licence(
    *,
    kind: LicenceKind,
    organisation_kind: OrganisationKind,
    province: str | None,
    valid_from_on: date,
    valid_until_on: date | None,
) -> None:
    """Refuse a licence that its holder cannot act under or that never holds.

    A local AMC is bound to its province (rules.md, S).
    Raises `LicenceDoesNotFit`, `InvalidLicenceDays`, `ProvinceMissing`.
    """
    if kind not in FITTING_LICENCES[organisation_kind]:
        raise LicenceDoesNotFit(kind, organisation_kind)
    if kind is LicenceKind.LOCAL_AMC and province is None:
        raise ProvinceMissing
    if valid_until_on is not None and valid_until_on <= valid_from_on:
        raise InvalidLicenceDays


def holds_on(day: date, *, valid_from_on: date, valid_until_on: date | None) -> bool:
    """Whether a licence holds on a day: `valid_from_on <= day < valid_until_on`, None meaning without end."""
    return valid_from_on <= day and (valid_until_on is None or day < valid_until_on)


def check_roles(roles: Iterable[Role], *, organisation_kind: OrganisationKind) -> frozenset[Role]:
    """Return the roles when the kind of organisation has all of them and they are not empty; raise `RolesDoNotFit`."""
    chosen = frozenset(roles)
    if not chosen or not chosen <= ROLES[organisation_kind]:
        raise RolesDoNotFit(organisation_kind)
    return chosen


def manages(actor: Actor, *, organisation_id: object) -> bool:
    """Whether the actor looks after an organisation's users and keys: the operator's admin, or its own manager."""
    if Role.OPERATOR_ADMIN in actor.roles:
        return True
    return actor.organisation_id == organisation_id and MANAGERS.get(actor.organisation_kind) in actor.roles
