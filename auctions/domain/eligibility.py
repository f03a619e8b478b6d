"""Who may bid: every condition by itself, its order, and the kinds of conflict of interest.

Nothing is self-declared but the undertaking not to resell: licence, agreement, deposit, region, conflicts and
defaults are computed from what the other packages keep. A refusal names the rule and never the debtor behind it.
Sources: rules.md, Auctions (barred bidders: SPC rules 2016, Art. 34, P; notices, S) and Packages (buyers of bulk
packages, no resale, local AMCs bound to their province, S).
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from auctions.domain.lifecycles import RegistrationState
from marketplace.actor import OrganisationKind
from marketplace.lifecycle import Lifecycle
from marketplace.parties.domain import FITTING_LICENCES, LicenceKind

BUYING_LICENCES: Final = FITTING_LICENCES[OrganisationKind.BUYER]
"""The licences by which an organisation may buy."""


class ConflictRule(enum.StrEnum):
    """Whom a bidder, its owners and its officers must not be."""

    RELATED_TO_DEBTOR = "related_to_debtor"
    RELATED_TO_APPRAISER = "related_to_appraiser"
    RELATED_TO_SELLER = "related_to_seller"
    RELATED_TO_OPERATOR = "related_to_operator"


class ConflictState(enum.StrEnum):
    """What became of a match: flagged when by name only, upheld at once when by official number."""

    FLAGGED = "flagged"
    CLEARED = "cleared"
    UPHELD = "upheld"


CONFLICT: Final = Lifecycle(
    "conflict",
    ConflictState.FLAGGED,
    [
        (ConflictState.FLAGGED, "clear", ConflictState.CLEARED),
        (ConflictState.FLAGGED, "uphold", ConflictState.UPHELD),
    ],
)


class Check(enum.StrEnum):
    """The conditions of bidding, in the order in which a refusal names them."""

    REGISTRATION_APPROVED = "registration_approved"
    DEPOSIT_HELD = "deposit_held"
    LICENCE_IN_FORCE = "licence_in_force"
    AGREEMENT_IN_FORCE = "agreement_in_force"
    NO_RESALE_UNDERTAKEN = "no_resale_undertaken"
    WITHIN_PROVINCE = "within_province"
    NO_CONFLICT = "no_conflict"
    NOT_BARRED = "not_barred"


LATER: Final = frozenset({Check.REGISTRATION_APPROVED, Check.DEPOSIT_HELD})
"""What an applicant cannot have yet."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a registration at an instant. `licences` are those in force that let their holder buy.

    `out_of_province`: the package has corporate cases outside the bidder's province. `conflict`: an upheld one.
    """

    state: RegistrationState
    covered: bool
    licences: frozenset[LicenceKind]
    agreement: bool
    no_resale_required: bool
    no_resale: bool
    out_of_province: bool
    conflict: ConflictRule | None
    defaulted: bool


def checks(facts: Facts) -> Mapping[Check, bool]:
    """Return every condition and whether it holds, in order."""
    return {
        Check.REGISTRATION_APPROVED: facts.state is RegistrationState.APPROVED,
        Check.DEPOSIT_HELD: facts.covered,
        Check.LICENCE_IN_FORCE: bool(facts.licences),
        Check.AGREEMENT_IN_FORCE: facts.agreement,
        Check.NO_RESALE_UNDERTAKEN: facts.no_resale or not facts.no_resale_required,
        Check.WITHIN_PROVINCE: within_province(facts.licences, out_of_province=facts.out_of_province),
        Check.NO_CONFLICT: facts.conflict is None,
        Check.NOT_BARRED: not facts.defaulted,
    }


def first_failed(facts: Facts) -> Check | None:
    """Return the first condition that does not hold, None when the registration may bid."""
    return next((check for check, holds in checks(facts).items() if not holds), None)


def within_province(licences: frozenset[LicenceKind], *, out_of_province: bool) -> bool:
    """Whether the region allows it: who acts only as a local AMC is bound to its province for corporate cases."""
    return not out_of_province or bool(licences - {LicenceKind.LOCAL_AMC})
