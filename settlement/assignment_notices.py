"""Notices of assignment: written for every borrower of a settled deal by a job, then sent, delivered or returned.

A case that goes back has a notice back, to a borrower that was told. The seller tells its borrowers; each paper opens
one identity, which is recorded, and is kept as it was written. The buyer, who needs the proof, reads the same papers.
"""

import uuid
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from collection import service as collection
from marketplace import audit, db, files, jobs, runtime
from marketplace.actor import Actor
from marketplace.cases import service as cases
from marketplace.files import StoredFile
from marketplace.jobs import Job, Progress
from settlement import after_sale_papers, closings, deals, payer_documents
from settlement.closing_models import Adjustment, AdjustmentCase, AssignmentNotice, CaseClosing
from settlement.deal_models import Deal
from settlement.domain.adjustments import REGISTERED, RETURNS
from settlement.domain.assignment import (
    NOTICE,
    AssignmentNoticeNotFound,
    CaseWentBack,
    DeliveredBeforeSent,
    DeliveryChannel,
    NoticeKind,
    NoticeState,
    NotSentYet,
    ProofMissing,
    TitleNotPassed,
    TooManyNotices,
)
from settlement.domain.deal import ZONE, DealState

WRITE_JOB: Final = "settlement.write_assignment_notices"
CONTACT_CHANNELS: Final = {
    DeliveryChannel.REGISTERED_MAIL: collection.Channel.LETTER,
    DeliveryChannel.COURIER: collection.Channel.LETTER,
    DeliveryChannel.IN_PERSON: collection.Channel.VISIT,
    DeliveryChannel.NOTARY: collection.Channel.LETTER,
    DeliveryChannel.NEWSPAPER: collection.Channel.LETTER,
    DeliveryChannel.ELECTRONIC: collection.Channel.EMAIL,
}
"""How collection's register names the ways by which a borrower is told."""

BLOCK: Final = 50
"""Notices after which a job says how far it is."""


def enqueue(session: Session, *, deal_id: uuid.UUID, actor: Actor, at: datetime) -> Job:
    """Ask for a notice to every borrower of a deal that has none yet; raise `DealNotFound`, `TitleNotPassed`."""
    _require_settled(session, deal_id, actor=actor)
    arguments = {"deal_id": str(deal_id), "actor": jobs.plain_actor(actor)}
    return jobs.enqueue(session, name=WRITE_JOB, arguments=arguments, actor=actor, at=at)


def _require_settled(session: Session, deal_id: uuid.UUID, *, actor: Actor) -> Deal:
    deal = deals.get_deal(session, deal_id, actor=actor)
    if deal.state is not DealState.SETTLED:
        raise TitleNotPassed(deal.state.value)
    return deal


def write_notices(session: Session, arguments: dict[str, Any], progress: Progress, at: datetime) -> dict[str, Any]:
    """The job: write, keep and count the notices that are missing; again it writes only what is missing still."""
    actor = jobs.actor_of(arguments["actor"])
    deal = _require_settled(session, uuid.UUID(arguments["deal_id"]), actor=actor)
    closings.freeze_cases(session, deal_id=deal.id, actor=actor, at=at)
    missing = _missing(session, deal)
    view = deals.with_names(session, [deal])[0]
    for number, (kind, case_id, case_key) in enumerate(missing, start=1):
        _write(session, view, kind=kind, case_id=case_id, case_key=case_key, actor=actor, at=at)
        if number % BLOCK == 0 or number == len(missing):
            session.flush()
            progress(number, len(missing), "notices")
    return {"written": len(missing)}


def _missing(session: Session, deal: Deal) -> list[tuple[NoticeKind, uuid.UUID, str]]:
    """Return the notices that are to be written: kind, case and its key.

    Of the assignment for every case that is still sold, of the way back for those that went back after a notice of
    the assignment had left the house.
    """
    gone = set(session.scalars(_gone(deal.id)))
    rows = session.execute(
        select(AssignmentNotice.case_id, AssignmentNotice.kind, AssignmentNotice.state).where(
            AssignmentNotice.deal_id == deal.id
        )
    ).all()
    known = {(case_id, kind) for case_id, kind, _ in rows}
    told = {case_id for case_id, kind, state in rows if state is not NoticeState.WRITTEN}
    cases = session.execute(
        select(CaseClosing.case_id, CaseClosing.case_key)
        .where(CaseClosing.deal_id == deal.id)
        .order_by(CaseClosing.case_key)
    )
    wanted = [
        (NoticeKind.REASSIGNMENT if case_id in gone else NoticeKind.ASSIGNMENT, case_id, case_key)
        for case_id, case_key in cases
        if case_id not in gone or case_id in told
    ]
    return [one for one in wanted if (one[1], one[0]) not in known]


def _gone(deal_id: uuid.UUID) -> Select[uuid.UUID]:
    """The cases of a deal that went back to the seller."""
    return (
        select(AdjustmentCase.case_id)
        .join(Adjustment, Adjustment.id == AdjustmentCase.adjustment_id)
        .where(Adjustment.deal_id == deal_id, Adjustment.kind.in_(RETURNS), Adjustment.state.in_(REGISTERED))
    )


def _write(
    session: Session,
    view: deals.DealView,
    *,
    kind: NoticeKind,
    case_id: uuid.UUID,
    case_key: str,
    actor: Actor,
    at: datetime,
) -> None:
    current = runtime.current()
    reason = f"{kind.value} notice, {view.deal.reference}"
    identities = cases.reveal_identities(session, case_id, reason=reason, vault=current.vault, actor=actor, at=at)
    borrower = next(one.name for one in identities if one.role.value == "borrower")
    content = after_sale_papers.assignment_notice(view, kind=kind, borrower=borrower, case_key=case_key, at=at)
    kept = files.store(
        session,
        current.files,
        content=content,
        name=f"{kind.value}-notice-{case_key}.pdf",
        media_type="application/pdf",
        actor=actor,
        at=at,
    )
    session.add(
        AssignmentNotice(
            id=db.new_id(),
            deal_id=view.deal.id,
            case_id=case_id,
            case_key=case_key,
            kind=kind,
            state=NOTICE.initial,
            file_id=kept.id,
            written_at=at,
        )
    )


def get_notice(session: Session, *, notice_id: uuid.UUID, actor: Actor) -> AssignmentNotice:
    """Return a notice of a deal that the actor may see; raise `AssignmentNoticeNotFound`, `DealNotFound`."""
    row = session.get(AssignmentNotice, notice_id)
    if row is None:
        raise AssignmentNoticeNotFound(notice_id)
    deals.get_deal(session, row.deal_id, actor=actor)
    return row


def list_notices(
    session: Session,
    *,
    deal_id: uuid.UUID,
    state: NoticeState | None,
    cursor: str | None,
    limit: int,
    actor: Actor,
) -> db.Page[AssignmentNotice]:
    """Return a page of the notices of a deal, newest first; raise `DealNotFound`."""
    deals.get_deal(session, deal_id, actor=actor)
    query = select(AssignmentNotice).where(AssignmentNotice.deal_id == deal_id)
    if state is not None:
        query = query.where(AssignmentNotice.state == state)
    return db.page(session, query, key_column=AssignmentNotice.id, cursor=cursor, limit=limit)


def paper(session: Session, *, notice_id: uuid.UUID, actor: Actor, at: datetime) -> bytes:
    """Return a notice as it was written, and record who read it; it names the borrower. Raises as `get_notice`."""
    row = get_notice(session, notice_id=notice_id, actor=actor)
    audit.record(session, actor=actor, at=at, subject=row, verb="read")
    return runtime.current().files.get(session.get_one(StoredFile, row.file_id).sha256)


def send(
    session: Session,
    *,
    notice_id: uuid.UUID,
    channel: DeliveryChannel,
    on: date,
    proof: str,
    actor: Actor,
    at: datetime,
) -> AssignmentNotice:
    """Record that a notice was sent; raise as `get_notice`, `IllegalMove`, `CaseWentBack`.

    Sent again, it is not proven by the paper of the first time any more; that file stays.
    """
    row = _lock(session, notice_id, actor=actor)
    NOTICE.move(row.state, "send")
    gone = _gone(row.deal_id).where(AdjustmentCase.case_id == row.case_id)
    if row.kind is NoticeKind.ASSIGNMENT and session.scalars(gone).first() is not None:
        raise CaseWentBack(row.case_key)
    row.channel, row.sent_on, row.proof, row.proof_file_id = channel, on, proof, None
    audit.transition(session, row, "send", lifecycle=NOTICE, actor=actor, at=at, reason=proof)
    session.flush()
    return row


def deliver(
    session: Session, *, notice_id: uuid.UUID, on: date, proof: str, actor: Actor, at: datetime
) -> AssignmentNotice:
    """Record with its proof that a notice arrived: from that day the transfer binds the borrower.

    The proof stands among the contacts of the case too. Raises as `get_notice`, `IllegalMove`, `DeliveredBeforeSent`.
    """
    row = _lock(session, notice_id, actor=actor)
    NOTICE.move(row.state, "deliver")
    if row.sent_on is not None and on < row.sent_on:
        raise DeliveredBeforeSent(row.sent_on)
    row.delivered_on, row.proof = on, proof
    audit.transition(session, row, "deliver", lifecycle=NOTICE, actor=actor, at=at, reason=proof)
    session.flush()
    assert row.channel is not None
    collection.record_delivery(
        session,
        case_id=row.case_id,
        channel=CONTACT_CHANNELS[row.channel],
        zone=ZONE,
        note=f"{row.kind.value} notice, delivered on {on.isoformat()}: {proof}",
        actor=actor,
        at=at,
    )
    return row


def send_back(session: Session, *, notice_id: uuid.UUID, reason: str, actor: Actor, at: datetime) -> AssignmentNotice:
    """Record that a notice came back undelivered; raise as `send`."""
    row = _lock(session, notice_id, actor=actor)
    audit.transition(session, row, "return", lifecycle=NOTICE, actor=actor, at=at, reason=reason)
    session.flush()
    return row


def keep_proof(
    session: Session, *, notice_id: uuid.UUID, content: bytes, name: str, actor: Actor, at: datetime
) -> AssignmentNotice:
    """Keep the paper that proves that a notice was sent or arrived; a later one takes its place, both files stay.

    Raises as `get_notice`, `NotSentYet`, and `DocumentUnknown` for what is no PDF, PNG or JPEG.
    """
    if get_notice(session, notice_id=notice_id, actor=actor).state is NoticeState.WRITTEN:
        raise NotSentYet
    media_type, store = payer_documents.media_type_of(content), runtime.current().files
    kept = files.store(session, store, content=content, name=name, media_type=media_type, actor=actor, at=at)
    row = _lock(session, notice_id, actor=actor)  # only now: the store may be far away
    row.proof_file_id = kept.id
    session.flush()
    audit.record(session, actor=actor, at=at, subject=row, verb="prove", after={"sha256": kept.sha256})
    return row


def read_proof(session: Session, *, notice_id: uuid.UUID, actor: Actor, at: datetime) -> tuple[StoredFile, bytes]:
    """Return the paper that proves a delivery, and record who read it. Raises as `get_notice`, and `ProofMissing`."""
    row = get_notice(session, notice_id=notice_id, actor=actor)
    if row.proof_file_id is None:
        raise ProofMissing(notice_id)
    audit.record(session, actor=actor, at=at, subject=row, verb="read_proof")
    kept = session.get_one(StoredFile, row.proof_file_id)
    return kept, runtime.current().files.get(kept.sha256)


HEADINGS: Final = ("case", "kind", "state", "written", "channel", "sent_on", "delivered_on", "proof", "proof_kept")
MAX_ROWS: Final = 100_000
"""So many notices one file holds at most."""


def table(session: Session, *, deal_id: uuid.UUID, actor: Actor) -> list[list[Any]]:
    """Return the notices of a deal as rows under `HEADINGS`, by case; raise `DealNotFound`, `TooManyNotices`."""
    count = sum(count_by_state(session, deal_id=deal_id, actor=actor).values())
    if count > MAX_ROWS:
        raise TooManyNotices(count, MAX_ROWS)
    query = select(AssignmentNotice).where(AssignmentNotice.deal_id == deal_id)
    return [
        [
            row.case_key,
            row.kind.value,
            row.state.value,
            row.written_at.isoformat(),
            row.channel and row.channel.value,
            row.sent_on and row.sent_on.isoformat(),
            row.delivered_on and row.delivered_on.isoformat(),
            row.proof,
            "yes" if row.proof_file_id else "no",
        ]
        for row in session.scalars(query.order_by(AssignmentNotice.case_key, AssignmentNotice.id))
    ]


def count_by_state(session: Session, *, deal_id: uuid.UUID, actor: Actor) -> dict[NoticeState, int]:
    """Return how many notices of a deal are in each state; raise `DealNotFound`."""
    deals.get_deal(session, deal_id, actor=actor)
    query = select(AssignmentNotice.state, func.count()).where(AssignmentNotice.deal_id == deal_id)
    return {row[0]: row[1] for row in session.execute(query.group_by(AssignmentNotice.state))}


def _lock(session: Session, notice_id: uuid.UUID, *, actor: Actor) -> AssignmentNotice:
    get_notice(session, notice_id=notice_id, actor=actor)
    return session.get_one(AssignmentNotice, notice_id, with_for_update=True, populate_existing=True)
