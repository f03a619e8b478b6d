"""Lots of a listing: which cases each has, what a reader sees of them, and which cases an award is for.

The seller cuts a draft's package; with the publication the lots are fixed. What of a package found no buyer leaves it
(`let_go`): a new frozen package, free to be listed or cancelled.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Text, Uuid, delete, func, insert, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from auctions import events, lot_states
from auctions import listing as listings
from auctions.award_models import Award
from auctions.domain import lots as rules
from auctions.domain import relisting
from auctions.domain.format_terms import FormatName
from auctions.domain.lifecycles import AwardState, ListingState
from auctions.domain.lots import REST, Cut, Figures
from auctions.domain.terms import Missing
from auctions.lot_models import Lot, LotCase
from auctions.lot_states import LotFate
from auctions.models import Listing
from marketplace import audit, outbox
from marketplace.actor import SYSTEM, Actor
from marketplace.errors import Conflict
from marketplace.money import Money
from marketplace.packages import service as packages

_CLAIMS = frozenset(AwardState) - {AwardState.FAILED, AwardState.RELEASED}
"""Awards that hold their lots, or wait for them."""


class LotsFixed(Conflict):
    """The lots of a listing are cut while it is a draft, and not by a re-listing plan."""

    code = "lots_fixed"

    def __init__(self, listing: Listing) -> None:
        state = "planned by the first announcement" if listing.plan_step else listing.state.value
        super().__init__(f"The listing is {state}: its lots are fixed.", state=listing.state.value)


class LotsWithoutCases(Conflict):
    """The lots of the award are of a time when lots were names only: which cases are in them is not known."""

    code = "lots_without_cases"

    def __init__(self) -> None:
        super().__init__("It is not known which cases are in these lots.")


@dataclass(frozen=True, slots=True)
class LotView:
    """A lot as one reader sees it; `figures` None where they are withheld. `name` is empty for what is not for sale.

    `fate`: what has become of it; None for what is not for sale.
    """

    name: str
    reserve: Money | None
    figures: Figures | None
    currency: str
    cases_hash: str | None
    chosen: Mapping[str, Any] | None
    fate: LotFate | None


@dataclass(frozen=True, slots=True)
class LotsPage:
    """The lots of a listing in order, and what lies in none of them; None where nothing does."""

    lots: Sequence[LotView]
    rest: LotView | None
    rest_not_for_sale: bool


def cut(
    session: Session,
    *,
    listing_id: uuid.UUID,
    cuts: Sequence[Cut],
    rest_not_for_sale: bool,
    actor: Actor,
    at: datetime,
) -> Listing:
    """Say anew which cases each lot of a draft has; raise `NotFound`, `LotsFixed`, `BadLots`.

    `rest_not_for_sale` states that cases in no lot are kept back on purpose. The figures are those of the freeze.
    """
    listing = listings.lock_listing(session, listing_id, actor=actor)
    if listing.state is not ListingState.DRAFT or listing.plan_step:
        raise LotsFixed(listing)
    session.execute(delete(LotCase).where(LotCase.listing_id == listing_id))
    session.execute(delete(Lot).where(Lot.listing_id == listing_id))
    parts = _write(session, listing, cuts)
    listing.rest_not_for_sale = rest_not_for_sale
    listing.version += 1
    session.flush()
    after = {"lots": {name: len(held) for name, held in parts.items()}, "rest_not_for_sale": rest_not_for_sale}
    audit.record(session, actor=actor, at=at, subject=listing, verb="cut", after=after)
    return listing


def cut_again(session: Session, listing: Listing, *, before: Listing) -> None:
    """Give a planned draft the lots that its terms name, with the cases that each had in the attempt before."""
    held: dict[str, list[str]] = {lot["lot"]: [] for lot in listing.format_terms["lots"]}
    lot_of = _lot_of_cases(session, before.id)
    for case in packages.frozen_cases(session, listing.package_id):
        if lot_of.get(case.case_id) in held:
            held[lot_of[case.case_id]].append(case.case_key)
    _write(session, listing, [Cut(name, case_keys=tuple(keys)) for name, keys in held.items()])
    listing.rest_not_for_sale = before.rest_not_for_sale
    session.flush()


def offered_in(session: Session, listing_id: uuid.UUID, *, package_id: uuid.UUID) -> list[str]:
    """Return the lots of a listing whose cases are in a package now, in order."""
    live, lot_of = set(packages.live_cases(session, package_id)), _lot_of_cases(session, listing_id)
    found = {lot for case_id, lot in lot_of.items() if case_id in live}
    return [row.name for row in lots_of(session, listing_id) if row.name in found]


def _lot_of_cases(session: Session, listing_id: uuid.UUID) -> dict[uuid.UUID, str]:
    query = select(LotCase.case_id, LotCase.lot).where(LotCase.listing_id == listing_id)
    return {row.case_id: row.lot for row in session.execute(query)}


def _write(session: Session, listing: Listing, cuts: Sequence[Cut]) -> dict[str, list[packages.FrozenCase]]:
    frozen = packages.frozen_cases(session, listing.package_id)
    parts = rules.cut(frozen, cuts)
    numbers = {case.case_id: number for number, case in enumerate(frozen, start=1)}
    session.add_all(_row(listing, one, position, parts[one.lot], numbers) for position, one in enumerate(cuts, start=1))
    session.flush()
    _write_cases(session, listing, parts)
    return parts


def _row(
    listing: Listing, one: Cut, position: int, cases: Sequence[packages.FrozenCase], numbers: Mapping[uuid.UUID, int]
) -> Lot:
    found = rules.figures(cases)
    return Lot(
        listing_id=listing.id,
        name=one.lot,
        package_id=listing.package_id,
        position=position,
        chosen=one.document(),
        currency=listing.currency,
        cases_hash=rules.fingerprint(numbers[case.case_id] for case in cases),
        **{name: getattr(found, name) for name in Figures.__slots__},
    )


def _write_cases(session: Session, listing: Listing, parts: Mapping[str, Sequence[packages.FrozenCase]]) -> None:
    pairs = [(case.case_id, name) for name, held in parts.items() for case in held]
    given = (
        func.unnest(
            literal([case_id for case_id, _ in pairs], ARRAY(Uuid())),
            literal([name for _, name in pairs], ARRAY(Text())),
        )
        .table_valued("case_id", "lot")
        .render_derived()
    )
    shared = (literal(listing.id, Uuid()), literal(listing.package_id, Uuid()))
    rows = select(given.c.case_id, given.c.lot, *shared)
    session.execute(insert(LotCase).from_select(["case_id", "lot", "listing_id", "package_id"], rows))


def lots_of(session: Session, listing_id: uuid.UUID) -> Sequence[Lot]:
    """Return the lots of a listing in order; empty where none were cut. No visibility check."""
    return session.scalars(select(Lot).where(Lot.listing_id == listing_id).order_by(Lot.position)).all()


def gaps(session: Session, listing: Listing) -> list[Missing]:
    """Return what the lots of a package listing lack before it can be published; nothing in another format."""
    if listing.format is not FormatName.PACKAGE:
        return []
    named = [lot["lot"] for lot in listing.format_terms.get("lots") or ()]
    rows = {lot.name: lot for lot in lots_of(session, listing.id)}
    bare = [name for name in named if name not in rows or not rows[name].loans]
    strange = [name for name in rows if name not in named]
    live = set(packages.live_cases(session, listing.package_id))
    taken = set(session.scalars(select(LotCase.case_id).where(LotCase.listing_id == listing.id)))
    faults = {
        "lots_without_cases": (bare, f"Say which cases are in the lots {', '.join(bare)}."),
        "lots_unknown": (strange, f"The terms name no lots {', '.join(strange)}."),
        "cases_gone": (taken - live, "Cut the lots anew: some cases have left the package."),
        "cases_outside_lots": (
            not listing.rest_not_for_sale and live - taken,
            "Some cases are in no lot; put them into one, or state that the rest is not for sale.",
        ),
    }
    return [Missing(code, detail) for code, (wrong, detail) in faults.items() if wrong]


def announced(session: Session, listing_id: uuid.UUID) -> list[dict[str, Any]]:
    """Return what an announcement fixes of the lots: the hash of each."""
    return [{"lot": lot.name, "cases_hash": lot.cases_hash} for lot in lots_of(session, listing_id)]


def show(session: Session, listing_id: uuid.UUID, *, actor: Actor) -> LotsPage:
    """Return the lots of a listing as the actor may see them; raise `NotFound`.

    Figures that point at persons are withheld from everybody but the seller, operator and auditor.
    """
    listing = listings.get_listing(session, listing_id, actor=actor)
    rows = lots_of(session, listing_id)
    full = listings.sees_terms(listing, actor=actor)
    rest = _rest(session, listing, rows) if rows else None
    persons = {row.name: row.persons for row in rows} | ({} if rest is None else {REST: rest.persons})
    hidden = frozenset() if full else rules.withheld(persons)
    reserves = {lot["lot"]: lot["reserve"] for lot in listing.format_terms.get("lots") or ()}
    fates = lot_states.fates(session, listing, names=[row.name for row in rows])
    views = [
        LotView(
            name=row.name,
            reserve=Money.parse(reserves[row.name], listing.currency) if row.name in reserves else None,
            figures=None if row.name in hidden else Figures(*(getattr(row, name) for name in Figures.__slots__)),
            currency=row.currency,
            cases_hash=row.cases_hash or None,
            chosen=row.chosen if full else None,
            fate=fates[row.name],
        )
        for row in rows
    ]
    shown = None if REST in hidden else rest
    left = None if rest is None else LotView(REST, None, shown, listing.currency, None, None, None)
    return LotsPage(views, left, listing.rest_not_for_sale)


def _rest(session: Session, listing: Listing, rows: Iterable[Lot]) -> Figures | None:
    """Add up what lies in no lot."""
    if sum(row.loans for row in rows) == packages.header(packages.require_package(session, listing.package_id)).loans:
        return None
    taken = set(session.scalars(select(LotCase.case_id).where(LotCase.listing_id == listing.id)))
    frozen = packages.frozen_cases(session, listing.package_id)
    return rules.figures(case for case in frozen if case.case_id not in taken)


def list_cases(session: Session, listing_id: uuid.UUID, *, actor: Actor) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
    """Return columns and rows of the list of lots: by row of the masked tape; for its seller, operator, auditor by key.

    Raises `NotFound`. The rows of the masked tape are in order of the case key, numbered from 1; a cell without a lot
    is not for sale.
    """
    listing = listings.get_listing(session, listing_id, actor=actor)
    lots = _lot_of_cases(session, listing_id)
    frozen = enumerate(packages.frozen_cases(session, listing.package_id), start=1)
    if listings.sees_terms(listing, actor=actor):
        return ("number", "lot", "case_key"), [(place, lots.get(one.case_id), one.case_key) for place, one in frozen]
    return ("number", "lot"), [(place, lots.get(one.case_id)) for place, one in frozen]


def cases_of_award(session: Session, award: Award) -> frozenset[uuid.UUID] | None:
    """Return the cases that an award is for, None for all of its package; raise `LotsWithoutCases`. For settlement."""
    if not award.lots:
        return None
    found = frozenset(_cases_in(session, award.listing_id, award.lots))
    if not found:
        raise LotsWithoutCases
    return found


def _cases_in(session: Session, listing_id: uuid.UUID, names: Iterable[str]) -> Sequence[uuid.UUID]:
    query = select(LotCase.case_id).where(LotCase.listing_id == listing_id, LotCase.lot.in_(list(names)))
    return session.scalars(query).all()


def let_go(session: Session, listing: Listing, *, awards: Sequence[Award], at: datetime) -> None:
    """Let everything that no award holds or waits for leave the package, as a new one: `auction.lots_unsold`.

    Where the re-listing plan sells lots apart, each lot becomes a package of its own, and so does what lies in no lot.
    The caller holds the auction's lock. A package that was never cut stays whole.
    """
    rows = lots_of(session, listing.id)
    if not any(row.loans for row in rows):
        return
    claimed = {name for award in awards if award.state in _CLAIMS for name in award.lots}
    lot_of = _lot_of_cases(session, listing.id)
    left = [case for case in packages.live_cases(session, listing.package_id) if lot_of.get(case) not in claimed]
    unsold = [row.name for row in rows if row.name not in claimed]
    groups = [(unsold, left)]
    if relisting.sells_apart(listing.relisting_plan, listing.plan_step):
        groups = [([name], [case for case in left if lot_of.get(case) == name]) for name in unsold]
        groups.append(([], [case for case in left if case not in lot_of]))
    for names, cases in groups:
        if cases:
            _split(session, listing, names, cases, at=at)


def _split(
    session: Session, listing: Listing, names: Sequence[str], cases: Sequence[uuid.UUID], *, at: datetime
) -> None:
    package = packages.require_package(session, listing.package_id)
    name = f"{package.name}: {', '.join(names)}" if names else package.name
    part = packages.split_package(session, listing.package_id, case_ids=cases, name=name, actor=SYSTEM, at=at)
    outbox.publish(session, events.LotsUnsold(listing.id, listing.package_id, part.id), at=at)


def set_free(session: Session, listing: Listing, *, actor: Actor, at: datetime) -> None:
    """Nothing of a package found a buyer: it is free again, or falls into its lots where the plan sells them apart."""
    if listing.format is FormatName.PACKAGE and relisting.sells_apart(listing.relisting_plan, listing.plan_step):
        let_go(session, listing, awards=(), at=at)
    else:
        packages.unlist_package(session, listing.package_id, actor=actor, at=at)
