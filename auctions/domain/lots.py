"""Lots: a frozen package cut into disjoint sets of cases, and what of each lot may be shown to outsiders.

A lot takes the cases that a filter chooses, the cases that are named by key, or all the rest. No case is in two lots.
A lot with fewer than five persons as borrowers points at people (`rules.md`, masking by default): its figures are
withheld, and so many others with it that nobody finds them by subtraction. Companies are no persons.
"""

import enum
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from auctions.domain.lifecycles import AwardState, ListingState
from marketplace.cases.domain.case import CustomerType
from marketplace.cases.domain.criteria import Criteria
from marketplace.cases.domain.masking import SMALLEST_GROUP
from marketplace.errors import Invalid
from marketplace.packages.domain.package import FrozenCase


class LotState(enum.StrEnum):
    """What has become of a lot. Derived from its listing, its awards and later listings; never stored."""

    DRAFT = "draft"
    OPEN = "open"
    AWARDED = "awarded"
    SOLD = "sold"
    DEFAULTED = "defaulted"
    UNSOLD = "unsold"
    RELISTED = "relisted"
    WITHDRAWN = "withdrawn"


_AWARDED: Final = frozenset({AwardState.WAITING, AwardState.PENDING, AwardState.PROTOCOL_CONFIRMED})
_BEFORE_THE_END: Final[Mapping[ListingState, LotState]] = {
    ListingState.DRAFT: LotState.DRAFT,
    ListingState.PUBLISHED: LotState.OPEN,
    ListingState.WITHDRAWN: LotState.WITHDRAWN,
}


def state_of(listing: ListingState, awards: Collection[AwardState], *, relisted: bool) -> LotState:
    """Return the state of a lot from that of its listing and of the awards that name it.

    `relisted`: its cases were announced again. A lot is `defaulted` when its award failed, whatever the cause, and
    nobody has it since; `sold` once the contract is signed.
    """
    if listing in _BEFORE_THE_END:
        return _BEFORE_THE_END[listing]
    if AwardState.CONTRACTED in awards:
        return LotState.SOLD
    if _AWARDED.intersection(awards):
        return LotState.AWARDED
    if relisted:
        return LotState.RELISTED
    return LotState.DEFAULTED if AwardState.FAILED in awards else LotState.UNSOLD


REST: Final = ""
"""Name of what lies in no lot, where lots are shown."""

SHOWN_KEYS: Final = 10


class BadLots(Invalid):
    """The lots cannot be cut so; `errors` name each fault with its lot."""

    code = "bad_lots"

    def __init__(self, faults: Sequence[Mapping[str, Any]]) -> None:
        super().__init__("The package cannot be cut into these lots.", errors=[dict(fault) for fault in faults])


@dataclass(frozen=True, slots=True)
class Cut:
    """What a lot takes: the cases that fit `criteria`, those named by `case_keys`, or, with neither, all the rest."""

    lot: str
    criteria: Criteria | None = None
    case_keys: tuple[str, ...] | None = None

    @property
    def takes_rest(self) -> bool:
        """Whether the lot takes what no other lot does."""
        return self.criteria is None and self.case_keys is None

    def document(self) -> dict[str, Any]:
        """Return how the lot was chosen, as it is kept."""
        if self.criteria is not None:
            return {"filter": self.criteria.document()}
        return {"rest": True} if self.case_keys is None else {"case_keys": len(self.case_keys)}


def fits(case: FrozenCase, criteria: Criteria) -> bool:
    """Whether the frozen figures of a case are within criteria; the tape that it came from is not among them."""
    bounds = (
        (case.days_past_due, criteria.days_past_due_min, criteria.days_past_due_max),
        (case.exposure, criteria.amount_min, criteria.amount_max),
    )
    choices: tuple[tuple[Any, Collection[Any]], ...] = (
        (case.product, criteria.products),
        (case.security, criteria.securities),
        (case.litigation, criteria.litigations),
        (case.grade, criteria.grades),
        (case.province, criteria.provinces),
    )
    exact = ((case.customer_type, criteria.customer_type), (case.written_off, criteria.written_off))
    return (
        all((low is None or value >= low) and (high is None or value <= high) for value, low, high in bounds)
        and all(not allowed or value in allowed for value, allowed in choices)
        and all(wanted is None or value == wanted for value, wanted in exact)
    )


def cut(cases: Sequence[FrozenCase], cuts: Sequence[Cut]) -> dict[str, list[FrozenCase]]:
    """Return the cases of each lot in the order of `cases`; raise `BadLots` with everything that is wrong at once.

    Wrong are a lot named twice, two lots for the rest, a key that the package does not have or that is named twice,
    a case in two lots, and a lot without cases.
    """
    faults = _faults_of_names(cuts) + _faults_of_keys(cases, cuts)
    parts: dict[str, list[FrozenCase]] = {one.lot: [] for one in cuts}
    rest = next((one.lot for one in cuts if one.takes_rest), None)
    named = {one.lot: frozenset(one.case_keys) for one in cuts if one.case_keys is not None}
    overlaps: dict[tuple[str, ...], int] = {}
    for case in cases:
        lots = tuple(one.lot for one in cuts if _takes(one, case, named))
        if len(lots) > 1:
            overlaps[lots] = overlaps.get(lots, 0) + 1
        elif lots or rest is not None:
            parts[lots[0] if lots else str(rest)].append(case)
    faults += [
        _fault("lots_overlap", f"{count} cases are in {' and '.join(lots)}.") for lots, count in overlaps.items()
    ]
    faults += [_fault("lot_empty", f"No case is in the lot {lot}.") for lot, held in parts.items() if not held]
    if faults:
        raise BadLots(faults)
    return parts


def _takes(one: Cut, case: FrozenCase, named: Mapping[str, Collection[str]]) -> bool:
    return case.case_key in named.get(one.lot, ()) or (one.criteria is not None and fits(case, one.criteria))


def _fault(code: str, detail: str) -> dict[str, str]:
    return {"code": code, "detail": detail}


def _faults_of_names(cuts: Sequence[Cut]) -> list[dict[str, str]]:
    names = [one.lot for one in cuts]
    twice = sorted({name for name in names if names.count(name) > 1})
    faults = [_fault("lot_twice", f"The lot {name} is given twice.") for name in twice]
    if sum(one.takes_rest for one in cuts) > 1:
        faults.append(_fault("rest_twice", "Only one lot can take the rest."))
    return faults


def _faults_of_keys(cases: Sequence[FrozenCase], cuts: Sequence[Cut]) -> list[dict[str, str]]:
    known = {case.case_key for case in cases}
    faults = []
    for one in cuts:
        keys = one.case_keys or ()
        strange = sorted(set(keys).difference(known))
        if strange:
            shown = ", ".join(strange[:SHOWN_KEYS])
            faults.append(_fault("unknown_case_keys", f"{len(strange)} keys of {one.lot} are not here: {shown}."))
        if len(set(keys)) < len(keys):
            faults.append(_fault("case_key_twice", f"A key is named twice in the lot {one.lot}."))
    return faults


@dataclass(frozen=True, slots=True)
class Figures:
    """What a lot adds up to, amounts in minor units; `persons` are the borrowers who are no companies."""

    loans: int
    borrowers: int
    persons: int
    principal_minor: int
    interest_minor: int
    other_minor: int


def figures(cases: Iterable[FrozenCase]) -> Figures:
    """Add up the cases of a lot."""
    held = list(cases)
    return Figures(
        loans=len(held),
        borrowers=len({case.borrower for case in held}),
        persons=len({case.borrower for case in held if case.customer_type == CustomerType.PERSON}),
        principal_minor=sum(case.principal for case in held),
        interest_minor=sum(case.interest for case in held),
        other_minor=sum(case.other for case in held),
    )


def withheld(persons: Mapping[str, int]) -> frozenset[str]:
    """Return the parts of a package whose figures outsiders do not see, from the persons in each part, `REST` included.

    Those with one to four persons; and, while what is withheld is a single part, or parts of persons who are fewer than
    five together, the next smallest as well: the header tells the sum of all.
    """
    hidden: set[str] = set()
    together = 0
    for name, count in sorted(persons.items(), key=lambda part: (part[1] == 0, part[1], part[0])):
        enough = not hidden or (len(hidden) > 1 and (together >= SMALLEST_GROUP or count == 0))
        if enough and not 0 < count < SMALLEST_GROUP:
            break
        hidden.add(name)
        together += count
    return frozenset(hidden)


def fingerprint(numbers: Iterable[int]) -> str:
    """Return the hash by which an announcement fixes a lot: of the row numbers of its cases in the masked tape."""
    return hashlib.sha256("\n".join(str(number) for number in sorted(numbers)).encode()).hexdigest()
