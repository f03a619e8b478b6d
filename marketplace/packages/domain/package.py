"""What a package is: its states, the dimensions of its strata, and one case as frozen in it."""

import enum
import uuid
from datetime import date
from typing import Final, NamedTuple

from marketplace.cases.domain.case import Security
from marketplace.lifecycle import Lifecycle


class PackageState(enum.StrEnum):
    """Where a package stands on its way to a buyer."""

    DRAFT = "draft"
    FROZEN = "frozen"
    LISTED = "listed"
    SOLD = "sold"
    CANCELLED = "cancelled"


PACKAGE: Final = Lifecycle(
    "Package",
    PackageState.DRAFT,
    [
        (PackageState.DRAFT, "freeze", PackageState.FROZEN),
        (PackageState.FROZEN, "list", PackageState.LISTED),
        (PackageState.LISTED, "unlist", PackageState.FROZEN),
        (PackageState.LISTED, "sell", PackageState.SOLD),
        (PackageState.LISTED, "dissolve", PackageState.CANCELLED),
        (PackageState.DRAFT, "cancel", PackageState.CANCELLED),
        (PackageState.FROZEN, "cancel", PackageState.CANCELLED),
    ],
)


class Dimension(enum.StrEnum):
    """Along what a package is cut into strata."""

    SECURITY = "security"
    DAYS_PAST_DUE = "days_past_due"
    LITIGATION = "litigation"
    SIZE = "size"
    PROVINCE = "province"


class FrozenCase(NamedTuple):
    """One case as of the cut-off; amounts in minor units of the package's currency.

    `borrower` is the keyed fingerprint of who owes, the same for all cases of one borrower; no identity is in here.
    A tuple, because packages have hundreds of thousands of them.
    """

    case_id: uuid.UUID
    case_key: str
    principal: int
    interest: int
    other: int
    days_past_due: int
    security: str
    litigation: str
    grade: str | None
    written_off: bool
    product: str | None
    customer_type: str
    province: str | None
    city: str | None
    borrower: bytes
    borrower_masked_name: str
    birth_year: int | None
    sex: str | None
    credit_limit_minor: int | None
    default_on: date | None
    originated_on: date | None
    guaranteed: bool
    collateral_kind: str | None
    collateral_value_minor: int | None
    prior_liens_minor: int | None
    registered_cap_minor: int | None
    collateral_city: str | None

    @property
    def secured(self) -> bool:
        """True when a mortgage or pledge secures the case."""
        return self.security in {Security.MORTGAGED, Security.PLEDGED}

    @property
    def exposure(self) -> int:
        """Principal and interest, the weight of announcements (未偿本息), in minor units."""
        return self.principal + self.interest
