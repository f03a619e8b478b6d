"""Cases as people and later stages meet them: lists, one case, withdrawal, the reveal of an identity, bulk moves."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Uuid, exists, false, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session, aliased

from marketplace import audit, db
from marketplace.actor import Actor, Role
from marketplace.cases.domain.case import CASE, CaseState, ObligorRole
from marketplace.cases.domain.criteria import Criteria
from marketplace.cases.models import Case, Collateral, Obligor
from marketplace.cases.sealing import context
from marketplace.crypto import Vault
from marketplace.db import Page
from marketplace.errors import Invalid, NotFound

MAX_EXPORT: Final = 200_000


class ExportTooLarge(Invalid):
    """More cases than one file takes."""

    code = "export_too_large"

    def __init__(self) -> None:
        super().__init__(f"More than {MAX_EXPORT} cases fit; narrow the filter.", allowed=MAX_EXPORT)


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A case with who owes and what secures it."""

    case: Case
    obligors: Sequence[Obligor]
    collaterals: Sequence[Collateral]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an obligor is, in full. Leaves the house only through `reveal_identities`."""

    role: ObligorRole
    name: str
    identity_kind: str
    identity_number: str | None
    phone: str | None


def _visible(actor: Actor) -> list[ColumnElement[bool]]:
    return [] if actor.sees_everything else [Case.organisation_id == actor.organisation_id]


def _matching(criteria: Criteria) -> list[ColumnElement[bool]]:
    exposure = Case.principal_minor + Case.interest_minor
    found: list[ColumnElement[bool] | None] = [
        None if criteria.days_past_due_min is None else Case.days_past_due >= criteria.days_past_due_min,
        None if criteria.days_past_due_max is None else Case.days_past_due <= criteria.days_past_due_max,
        None if criteria.amount_min is None else exposure >= criteria.amount_min,
        None if criteria.amount_max is None else exposure <= criteria.amount_max,
        Case.product.in_(criteria.products) if criteria.products else None,
        Case.security.in_(criteria.securities) if criteria.securities else None,
        Case.litigation.in_(criteria.litigations) if criteria.litigations else None,
        Case.grade.in_(criteria.grades) if criteria.grades else None,
        Case.province.in_(criteria.provinces) if criteria.provinces else None,
        None if criteria.customer_type is None else Case.customer_type == criteria.customer_type,
        None if criteria.written_off is None else Case.written_off == criteria.written_off,
        None if criteria.tape_id is None else Case.tape_id == criteria.tape_id,
    ]
    return [condition for condition in found if condition is not None]


def list_cases(
    session: Session,
    *,
    criteria: Criteria,
    state: CaseState | None,
    actor: Actor,
    cursor: str | None,
    limit: int,
) -> Page[Case]:
    """Cases that the actor may see and that fit, newest first."""
    query = select(Case).where(*_visible(actor), *_matching(criteria))
    if state is not None:
        query = query.where(Case.state == state)
    return db.page(session, query, key_column=Case.id, cursor=cursor, limit=limit)


def export_cases(session: Session, *, criteria: Criteria, state: CaseState | None, actor: Actor) -> Sequence[Case]:
    """Every case that fits, by key; raise `ExportTooLarge` beyond `MAX_EXPORT`."""
    criteria.check()
    query = select(Case).where(*_visible(actor), *_matching(criteria))
    if state is not None:
        query = query.where(Case.state == state)
    cases = session.scalars(query.order_by(Case.case_key, Case.id).limit(MAX_EXPORT + 1)).all()
    if len(cases) > MAX_EXPORT:
        raise ExportTooLarge
    return cases


def require_case(session: Session, case_id: uuid.UUID, *, actor: Actor) -> Case:
    """Return a case; raise `NotFound` unless it is the actor's or the actor sees everything."""
    case = session.get(Case, case_id)
    if case is None or not (actor.sees_everything or case.organisation_id == actor.organisation_id):
        raise NotFound("case", case_id)
    return case


def case_file(session: Session, case_id: uuid.UUID, *, actor: Actor) -> CaseFile:
    """Return a case with obligors (masked) and collateral; raise `NotFound`."""
    case = require_case(session, case_id, actor=actor)
    return CaseFile(
        case,
        session.scalars(select(Obligor).where(Obligor.case_id == case.id).order_by(Obligor.role)).all(),
        session.scalars(select(Collateral).where(Collateral.case_id == case.id)).all(),
    )


def withdraw_case(session: Session, case_id: uuid.UUID, *, reason: str, actor: Actor, at: datetime) -> Case:
    """Take an open case back from the market; raise `NotFound` or `IllegalMove`."""
    case = _own_locked(session, case_id, actor)
    audit.transition(session, case, "withdraw", lifecycle=CASE, actor=actor, at=at, reason=reason)
    case.updated_at = at
    session.flush()
    return case


def reveal_identities(
    session: Session, case_id: uuid.UUID, *, reason: str, vault: Vault, actor: Actor, at: datetime
) -> list[Identity]:
    """Open the identities of a case for a manager of the seller that owns it, and record who looked and why."""
    case = _own_locked(session, case_id, actor)
    if Role.SELLER_MANAGER not in actor.roles:
        raise NotFound("case", case_id)
    audit.record(session, actor=actor, at=at, subject=case, verb="reveal_identities", reason=reason)
    rows = session.scalars(select(Obligor).where(Obligor.case_id == case.id).order_by(Obligor.role)).all()
    return [_open(row, case, vault) for row in rows]


def _open(row: Obligor, case: Case, vault: Vault) -> Identity:
    def opened(sealed: bytes | None, field: str) -> str | None:
        belongs = context(case.organisation_id, case_key=case.case_key, role=row.role, field=field)
        return None if sealed is None else vault.open(sealed, context=belongs)

    name = opened(row.name_sealed, "name")
    return Identity(
        row.role,
        name or "",
        row.identity_kind.value,
        opened(row.identity_sealed, "identity_number"),
        opened(row.phone_sealed, "phone"),
    )


def _own_locked(session: Session, case_id: uuid.UUID, actor: Actor) -> Case:
    case = session.scalars(
        select(Case).where(Case.id == case_id, Case.organisation_id == actor.organisation_id).with_for_update()
    ).first()
    if case is None:
        raise NotFound("case", case_id)
    return case


def lock_open_cases(
    session: Session, *, organisation_id: uuid.UUID, currency: str, criteria: Criteria
) -> list[uuid.UUID]:
    """Lock the seller's open cases that fit, in order of id, and return their ids.

    Waits for whoever holds one of them; what that other took for itself no longer fits and is left out.
    """
    query = (
        select(Case.id)
        .where(*_open_of(organisation_id, currency), *_matching(criteria))
        .order_by(Case.id)
        .with_for_update()
    )
    return list(session.scalars(query))


def count_open(
    session: Session,
    *,
    organisation_id: uuid.UUID,
    currency: str | None = None,
    criteria: Criteria | None = None,
    at_most: int | None = None,
) -> int:
    """Count the open cases of a seller that fit, up to `at_most`: no more than so many are looked at."""
    fitting = select(Case.id).where(*_open_of(organisation_id, currency), *_matching(criteria or Criteria()))
    return session.scalar(select(func.count()).select_from(fitting.limit(at_most).subquery())) or 0


def open_cases(session: Session, *, organisation_id: uuid.UUID, after: uuid.UUID | None, limit: int) -> Sequence[Case]:
    """Return the next open cases of a seller, in order of id; locks nothing."""
    query = select(Case).where(*_open_of(organisation_id, None))
    if after is not None:
        query = query.where(Case.id > after)
    return session.scalars(query.order_by(Case.id).limit(limit)).all()


def _open_of(organisation_id: uuid.UUID, currency: str | None) -> list[ColumnElement[bool]]:
    mine = [Case.organisation_id == organisation_id, Case.state == CaseState.OPEN]
    return mine if currency is None else [*mine, Case.currency == currency]


def among(case_ids: Sequence[uuid.UUID]) -> ColumnElement[bool]:
    """Condition: the case is one of these; one array value however many there are."""
    return Case.id == func.any(literal(list(case_ids), ARRAY(Uuid())))


def in_state(state: CaseState) -> Select[uuid.UUID]:
    """Query of the ids of all cases in a state, for a condition of another query; locks nothing."""
    return select(Case.id).where(Case.state == state)


def figures(case_ids: Sequence[uuid.UUID]) -> Select[*tuple[Any, ...]]:
    """Query of what a package freezes of each case, with the masked borrower and the collateral; locks nothing."""
    borrower, guarantor = aliased(Obligor), aliased(Obligor)
    guaranteed = exists().where(guarantor.case_id == Case.id, guarantor.role == ObligorRole.GUARANTOR)
    return (
        select(
            Case.id.label("case_id"), Case.case_key, Case.product, Case.customer_type, Case.currency,
            Case.principal_minor, Case.interest_minor, Case.other_minor, Case.days_past_due, Case.as_of_on,
            Case.default_on, Case.originated_on, Case.grade, Case.litigation, Case.written_off, Case.security,
            Case.credit_limit_minor, Case.province, Case.city, Case.borrower_fingerprint,
            borrower.masked_name.label("borrower_masked_name"),
            borrower.birth_year.label("borrower_birth_year"), borrower.sex.label("borrower_sex"),
            borrower.province.label("borrower_province"), guaranteed.label("guaranteed"),
            Collateral.kind.label("collateral_kind"), Collateral.value_minor.label("collateral_value_minor"),
            Collateral.prior_liens_minor, Collateral.registered_cap_minor, Collateral.city.label("collateral_city"),
        )
        .join(borrower, (borrower.case_id == Case.id) & (borrower.role == ObligorRole.BORROWER))
        .outerjoin(Collateral, Collateral.case_id == Case.id)
        .where(among(case_ids))
    )  # fmt: skip


def matching_obligors(*, fingerprints: Collection[bytes], names: Collection[bytes]) -> Select[*tuple[Any, ...]]:
    """Query of the obligors that have one of these identity numbers or names: `case_id`, `certain`; locks nothing.

    `certain` says that the identity number matched. No visibility check: who asks shows no case to anybody.
    """
    certain = Obligor.fingerprint.in_(fingerprints)
    return select(Obligor.case_id, func.coalesce(certain, false()).label("certain")).where(
        certain | Obligor.name_fingerprint.in_(names)
    )


def move_cases(
    session: Session, *, case_ids: Sequence[uuid.UUID], verb: str, actor: Actor, at: datetime, reason: str = ""
) -> int:
    """Move many cases by one verb of their table, one record each; return how many moved. Raises `IllegalMove`."""
    return audit.transition_all(session, Case, among(case_ids), verb, lifecycle=CASE, actor=actor, at=at, reason=reason)
