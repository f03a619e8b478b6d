"""Appraisals: asking a valuer, its independence, submission, and the seller's decision.

An appraisal is seen by the seller of the package, the valuer that was asked, the operator and the auditor; for anybody
else there is none.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from marketplace import audit, db, files, outbox
from marketplace.actor import Actor, OrganisationKind
from marketplace.clock import local_date
from marketplace.db import Page
from marketplace.errors import Conflict, NotFound, Refused
from marketplace.files import FileStore, StoredFile
from marketplace.packages import service as packages
from marketplace.packages.service import PackageState
from marketplace.parties import service as parties
from valuation.domain.appraisals import (
    APPRAISAL,
    AppraisalState,
    NotIndependent,
    Submission,
    SubmissionIncomplete,
    check_report,
    lacks_of,
)
from valuation.events import AppraisalAccepted
from valuation.models import Appraisal, AppraisalSigner

_ZONE: Final = "Asia/Shanghai"
PDF: Final = "application/pdf"


class PackageNotFrozen(Conflict):
    """The figures of the package are not fixed, or it is sold or given up."""

    code = "package_not_frozen"

    def __init__(self, state: str) -> None:
        super().__init__(f"The package is {state}: only a frozen or listed one can be valued.", state=state)


class ValuerNotLicensed(Conflict):
    """The organisation asked is no valuer, not active, or has no licence in force."""

    code = "valuer_not_licensed"

    def __init__(self) -> None:
        super().__init__("This organisation is no active valuer with a licence in force today.")


class ConflictDeclared(Conflict):
    """A valuer with a conflict of interest declines; it is not engaged."""

    code = "conflict_declared"

    def __init__(self) -> None:
        super().__init__(
            "A valuer that is not free of conflicts of interest declines instead (Asset Appraisal Law 13)."
        )


class PersonMustSign(Refused):
    """A declaration is signed by a person, not by an API key."""

    code = "person_must_sign"

    def __init__(self) -> None:
        super().__init__("Sign in as a person: an API key cannot sign a declaration.")


class ReportMissing(NotFound):
    """No report was uploaded yet."""

    def __init__(self, appraisal_id: uuid.UUID) -> None:
        super().__init__("report of the appraisal", appraisal_id)


@dataclass(frozen=True, slots=True)
class AppraisalShown:
    """An appraisal with its signers."""

    appraisal: Appraisal
    signers: Sequence[AppraisalSigner]


def request_appraisal(
    session: Session,
    *,
    package_id: uuid.UUID,
    valuer_organisation_id: uuid.UUID,
    purpose: str,
    actor: Actor,
    at: datetime,
) -> AppraisalShown:
    """Ask a valuer for an appraisal of the actor's package.

    Raises `NotFound`, `PackageNotFrozen`, `ValuerNotLicensed`, `NotIndependent`.
    """
    package = packages.get_package(session, package_id, actor=actor)
    if package.state not in {PackageState.FROZEN, PackageState.LISTED}:
        raise PackageNotFrozen(package.state.value)
    _check_valuer(session, valuer_organisation_id, seller_id=package.organisation_id, at=at)
    appraisal = Appraisal(
        id=db.new_id(),
        package_id=package.id,
        organisation_id=package.organisation_id,
        valuer_organisation_id=valuer_organisation_id,
        purpose=purpose,
        currency=package.currency,
        requested_at=at,
    )
    session.add(appraisal)
    session.flush()
    after = {"package_id": str(package.id), "valuer_organisation_id": str(valuer_organisation_id)}
    audit.record(session, actor=actor, at=at, subject=appraisal, verb="request", after=after)
    return AppraisalShown(appraisal, ())


def _check_valuer(session: Session, valuer_id: uuid.UUID, *, seller_id: uuid.UUID, at: datetime) -> None:
    valuer = parties.require_organisation(session, valuer_id)
    if valuer.id == seller_id:
        raise NotIndependent("it sells the package.")
    if valuer.kind is not OrganisationKind.VALUER or not parties.licence_in_force(session, valuer_id, at=at):
        raise ValuerNotLicensed


def engage(
    session: Session,
    appraisal_id: uuid.UUID,
    *,
    independence_statement: str,
    no_conflicts: bool,
    actor: Actor,
    at: datetime,
) -> AppraisalShown:
    """Accept the task and declare independence, signed by the acting person.

    Raises `NotFound`, `IllegalMove`, `ConflictDeclared`, `PersonMustSign`, `ValuerNotLicensed`.
    """
    appraisal = _locked_as_valuer(session, appraisal_id, actor)
    APPRAISAL.move(appraisal.state, "engage")
    if not no_conflicts:
        raise ConflictDeclared
    if actor.user_id is None:
        raise PersonMustSign
    _check_valuer(session, appraisal.valuer_organisation_id, seller_id=appraisal.organisation_id, at=at)
    appraisal.independence_statement = independence_statement
    appraisal.independence_user_id = actor.user_id
    appraisal.engaged_at = at
    return _move(session, appraisal, "engage", actor=actor, at=at)


def decline(session: Session, appraisal_id: uuid.UUID, *, reason: str, actor: Actor, at: datetime) -> AppraisalShown:
    """Give the task back; raise `NotFound`, `IllegalMove`."""
    appraisal = _locked_as_valuer(session, appraisal_id, actor)
    return _move(session, appraisal, "decline", actor=actor, at=at, reason=reason)


class NotBeingWrittenNow(Conflict):
    """Only while the valuer works on the appraisal is there a tape for it and a place for its report."""

    code = "not_being_written_now"

    def __init__(self, state: AppraisalState) -> None:
        super().__init__(f"The appraisal is {state.value}; this needs it to be engaged.", state=state.value)


def attach_report(
    session: Session,
    appraisal_id: uuid.UUID,
    *,
    content: bytes,
    name: str,
    store: FileStore,
    actor: Actor,
    at: datetime,
) -> AppraisalShown:
    """Put the report in place of an earlier one; raise `NotFound`, `NotBeingWrittenNow`, `NotAPdf`."""
    appraisal = _locked_as_valuer(session, appraisal_id, actor)
    if appraisal.state is not AppraisalState.ENGAGED:
        raise NotBeingWrittenNow(appraisal.state)
    check_report(content)
    kept = files.store(session, store, content=content, name=name, media_type=PDF, actor=actor, at=at)
    appraisal.report_file_id = kept.id
    session.flush()
    audit.record(session, actor=actor, at=at, subject=appraisal, verb="attach_report", after={"sha256": kept.sha256})
    return shown(session, appraisal)


def submit(
    session: Session, appraisal_id: uuid.UUID, *, submission: Submission, actor: Actor, at: datetime
) -> AppraisalShown:
    """Submit the opinion; raise `NotFound`, `IllegalMove`, or `SubmissionIncomplete` naming everything it lacks."""
    appraisal = _locked_as_valuer(session, appraisal_id, actor)
    APPRAISAL.move(appraisal.state, "submit")
    lacks = lacks_of(
        submission,
        currency=appraisal.currency,
        has_report=appraisal.report_file_id is not None,
        today=local_date(at, _ZONE),
    )
    if lacks or submission.value is None:
        raise SubmissionIncomplete(lacks)
    appraisal.kind = submission.kind
    appraisal.methods = sorted({method.value for method in submission.methods})
    appraisal.methods_justification = submission.methods_justification
    appraisal.inspection_statement = submission.inspection_statement
    appraisal.scope = submission.scope
    appraisal.value_minor = submission.value.minor
    appraisal.valued_on, appraisal.valid_until_on = submission.valued_on, submission.valid_until_on
    appraisal.submitted_at = at
    session.execute(delete(AppraisalSigner).where(AppraisalSigner.appraisal_id == appraisal.id))
    session.add_all(
        AppraisalSigner(appraisal_id=appraisal.id, name=signer.name, certificate_number=signer.certificate_number)
        for signer in submission.signers
    )
    return _move(session, appraisal, "submit", actor=actor, at=at)


def decide(
    session: Session, appraisal_id: uuid.UUID, *, verb: str, reason: str = "", actor: Actor, at: datetime
) -> AppraisalShown:
    """The seller's answer to a submission: `accept`, `reject` or `return`; raise `NotFound`, `IllegalMove`."""
    appraisal = session.scalars(
        select(Appraisal)
        .where(Appraisal.id == appraisal_id, Appraisal.organisation_id == actor.organisation_id)
        .with_for_update()
    ).first()
    if appraisal is None:
        raise NotFound("appraisal", appraisal_id)
    APPRAISAL.move(appraisal.state, verb)
    appraisal.decided_at = at
    done = _move(session, appraisal, verb, actor=actor, at=at, reason=reason)
    if verb == "accept" and appraisal.value is not None:
        accepted = AppraisalAccepted(
            appraisal_id=appraisal.id,
            package_id=appraisal.package_id,
            value_minor=appraisal.value.minor,
            currency=appraisal.currency,
        )
        outbox.publish(session, accepted, at=at)
    return done


def _move(
    session: Session, appraisal: Appraisal, verb: str, *, actor: Actor, at: datetime, reason: str = ""
) -> AppraisalShown:
    audit.transition(session, appraisal, verb, lifecycle=APPRAISAL, actor=actor, at=at, reason=reason)
    session.flush()
    return shown(session, appraisal)


def _locked_as_valuer(session: Session, appraisal_id: uuid.UUID, actor: Actor) -> Appraisal:
    appraisal = session.scalars(
        select(Appraisal)
        .where(Appraisal.id == appraisal_id, Appraisal.valuer_organisation_id == actor.organisation_id)
        .with_for_update()
    ).first()
    if appraisal is None:
        raise NotFound("appraisal", appraisal_id)
    return appraisal


def shown(session: Session, appraisal: Appraisal) -> AppraisalShown:
    """Return an appraisal with its signers in order of certificate."""
    signers = session.scalars(
        select(AppraisalSigner)
        .where(AppraisalSigner.appraisal_id == appraisal.id)
        .order_by(AppraisalSigner.certificate_number)
    ).all()
    return AppraisalShown(appraisal, signers)


def get_appraisal(session: Session, appraisal_id: uuid.UUID, *, actor: Actor) -> AppraisalShown:
    """Return an appraisal that the actor may see; raise `NotFound`."""
    appraisal = session.get(Appraisal, appraisal_id)
    concerned = appraisal is not None and actor.organisation_id in {
        appraisal.organisation_id,
        appraisal.valuer_organisation_id,
    }
    if appraisal is None or not (actor.sees_everything or concerned):
        raise NotFound("appraisal", appraisal_id)
    return shown(session, appraisal)


def list_appraisals(
    session: Session, *, package_id: uuid.UUID | None, cursor: str | None, limit: int, actor: Actor
) -> Page[AppraisalShown]:
    """Appraisals that the actor may see, of one package or of all, newest first."""
    query = select(Appraisal)
    if package_id is not None:
        query = query.where(Appraisal.package_id == package_id)
    if not actor.sees_everything:
        own = actor.organisation_id
        query = query.where(or_(Appraisal.organisation_id == own, Appraisal.valuer_organisation_id == own))
    page: Page[Appraisal] = db.page(session, query, key_column=Appraisal.id, cursor=cursor, limit=limit)
    return Page([shown(session, appraisal) for appraisal in page.items], page.next)


def report_of(session: Session, appraisal_id: uuid.UUID, *, store: FileStore, actor: Actor) -> tuple[str, bytes]:
    """Return name and bytes of the report; raise `NotFound`, `FileMissing`.

    Before the submission only the valuer (and who sees everything) sees it.
    """
    appraisal = get_appraisal(session, appraisal_id, actor=actor).appraisal
    working = appraisal.state in {AppraisalState.ENGAGED, AppraisalState.DECLINED}
    mine = actor.sees_everything or actor.organisation_id == appraisal.valuer_organisation_id
    if appraisal.report_file_id is None or (working and not mine):
        raise ReportMissing(appraisal_id)
    kept = session.get_one(StoredFile, appraisal.report_file_id)
    return kept.name, store.get(kept.sha256)


def tape_for_valuer(session: Session, appraisal_id: uuid.UUID, *, actor: Actor) -> bytes:
    """Return the masked tape of the package to the valuer that is engaged; raise `NotFound`, `NotBeingWrittenNow`."""
    appraisal = get_appraisal(session, appraisal_id, actor=actor).appraisal
    if appraisal.valuer_organisation_id != actor.organisation_id:
        raise NotFound("appraisal", appraisal_id)
    if appraisal.state is not AppraisalState.ENGAGED:
        raise NotBeingWrittenNow(appraisal.state)
    return packages.masked_tape(session, appraisal.package_id)


def accepted_appraisal(session: Session, package_id: uuid.UUID, *, at: datetime) -> Appraisal | None:
    """Return the latest accepted appraisal still valid on the day of `at`, None when there is none.

    A full appraisal goes before an advisory one, whatever their dates.
    """
    today = local_date(at, _ZONE)
    rows = session.scalars(
        select(Appraisal)
        .where(
            Appraisal.package_id == package_id,
            Appraisal.state == AppraisalState.ACCEPTED,
            Appraisal.valid_until_on >= today,
        )
        .order_by((Appraisal.kind == "full").desc(), Appraisal.valued_on.desc(), Appraisal.id.desc())
    )
    return rows.first()


def appraisers_of(session: Session, package_id: uuid.UUID) -> tuple[list[uuid.UUID], list[str]]:
    """Return the organisations that appraise or appraised a package, and the names of who signed. No visibility check.

    Whoever declined the work is left out.
    """
    engaged = select(Appraisal).where(Appraisal.package_id == package_id, Appraisal.engaged_at.is_not(None))
    appraisals = session.scalars(engaged).all()
    signers = select(AppraisalSigner.name).where(AppraisalSigner.appraisal_id.in_([one.id for one in appraisals]))
    return sorted({one.valuer_organisation_id for one in appraisals}), list(session.scalars(signers.distinct()))
