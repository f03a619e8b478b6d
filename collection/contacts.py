"""Contacts: the gate is asked before the act, its answer is stored whether it allowed the contact or not."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from collection.domain.contact import (
    POLICIES,
    Channel,
    Contact,
    ContactRule,
    Decision,
    Person,
    PolicyPreset,
    Question,
    Relation,
    contact_gate,
    preset_of_country,
)
from collection.locking import lock_case
from collection.models import ContactOutcome, ContactRecord
from marketplace import audit, db
from marketplace.actor import Actor
from marketplace.cases import service as cases
from marketplace.cases.domain.masking import mask_phone
from marketplace.crypto import Vault
from marketplace.db import Page
from marketplace.errors import Conflict, NotFound, Refused
from marketplace.parties import service as parties

_LOOK_BACK: Final = timedelta(days=31)
"""Older contacts count for no rule of any preset."""


class ContactRefused(Refused):
    """The policy does not allow this contact now; `rule` names the first rule against it."""

    code = "contact_refused"

    def __init__(self, rule: ContactRule, reason: str, contact_record_id: uuid.UUID) -> None:
        super().__init__(reason, rule=rule.value, contact_record_id=str(contact_record_id))


class NoContactWasMade(Conflict):
    """The gate refused it, so there is no outcome."""

    code = "no_contact_was_made"

    def __init__(self) -> None:
        super().__init__("The gate refused this contact; it has no outcome.")


class OutcomeKnown(Conflict):
    """The outcome was recorded before."""

    code = "outcome_known"

    def __init__(self) -> None:
        super().__init__("The outcome of this contact was recorded before.")


db.violation("pk_contact_outcomes", OutcomeKnown)


@dataclass(frozen=True, slots=True)
class ContactShown:
    """A record with its outcome, None while it is not known."""

    record: ContactRecord
    outcome: ContactOutcome | None


def record_contact(
    session: Session,
    *,
    case_id: uuid.UUID,
    relation: Relation,
    channel: Channel,
    number: str | None,
    person: Person,
    vault: Vault,
    actor: Actor,
    at: datetime,
) -> ContactShown:
    """Ask the gate and store its answer. A refused one is stored too: the caller shows `refusal(record)`.

    The policy is that of the country of the seller who owns the case. Raises `NotFound`.
    """
    case = cases.require_case(session, case_id, actor=actor)
    lock_case(session, case_id)
    preset = preset_of_country(parties.require_organisation(session, case.organisation_id).country)
    fingerprint = vault.fingerprint(number) if number else None
    question = Question(
        person=person,
        relation=relation,
        channel=channel,
        number=fingerprint.hex() if fingerprint else None,
        at=at,
        log=_log(session, case_id, since=at - _LOOK_BACK),
    )
    record = _record(case_id, preset, question, contact_gate(POLICIES[preset], question), actor)
    record.number_fingerprint, record.number_masked = fingerprint, mask_phone(number) if number else None
    session.add(record)
    session.flush()
    return ContactShown(record, None)


def record_delivery(
    session: Session, *, case_id: uuid.UUID, channel: Channel, zone: str, note: str, actor: Actor, at: datetime
) -> ContactShown:
    """Enter a legal notice that reached the obligor among the contacts of its case, with its proof as the outcome.

    The gate is not asked: its rules are for dunning, and the notice has arrived. It is no conversation, so it holds up
    no later call. Raises `NotFound`.
    """
    case = cases.require_case(session, case_id, actor=actor)
    lock_case(session, case_id)
    preset = preset_of_country(parties.require_organisation(session, case.organisation_id).country)
    person = Person(zone=zone, reachable=True, consent=False)
    question = Question(person=person, relation=Relation.OBLIGOR, channel=channel, number=None, at=at, log=[])
    decision = Decision(allowed=True, rule=None, reason="A legal notice that was delivered; no rule of dunning holds.")
    record = _record(case_id, preset, question, decision, actor)
    session.add(record)
    session.flush()
    outcome = ContactOutcome(contact_record_id=record.id, answered=False, note=note, at=at)
    session.add(outcome)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=record, verb="record_delivery", reason=note)
    return ContactShown(record, outcome)


def refusal(record: ContactRecord) -> ContactRefused | None:
    """Return the failure that a refused record means, None for an allowed one."""
    return None if record.rule is None else ContactRefused(record.rule, record.reason, record.id)


def _record(
    case_id: uuid.UUID, preset: PolicyPreset, question: Question, decision: Decision, actor: Actor
) -> ContactRecord:
    return ContactRecord(
        case_id=case_id,
        at=question.at,
        user_id=actor.user_id,
        user_name=actor.name,
        policy=preset,
        relation=question.relation,
        channel=question.channel,
        zone=question.person.zone,
        reachable=question.person.reachable,
        consent=question.person.consent,
        allowed=decision.allowed,
        rule=decision.rule,
        reason=decision.reason,
    )


def _log(session: Session, case_id: uuid.UUID, *, since: datetime) -> list[Contact]:
    rows = session.execute(
        select(ContactRecord, ContactOutcome.answered)
        .outerjoin(ContactOutcome, ContactOutcome.contact_record_id == ContactRecord.id)
        .where(ContactRecord.case_id == case_id, ContactRecord.allowed, ContactRecord.at >= since)
    )
    return [
        Contact(
            record.at,
            record.channel,
            record.number_fingerprint.hex() if record.number_fingerprint else None,
            answered=bool(answered),
        )
        for record, answered in rows
    ]


def record_outcome(
    session: Session, contact_record_id: uuid.UUID, *, answered: bool, note: str, actor: Actor, at: datetime
) -> ContactShown:
    """Record what came of a contact, once; raise `NotFound`, `NoContactWasMade`, `OutcomeKnown`."""
    record = session.get(ContactRecord, contact_record_id)
    if record is None:
        raise NotFound("contact record", contact_record_id)
    cases.require_case(session, record.case_id, actor=actor)
    if not record.allowed:
        raise NoContactWasMade
    if session.get(ContactOutcome, record.id) is not None:
        raise OutcomeKnown
    outcome = ContactOutcome(contact_record_id=record.id, answered=answered, note=note, at=at)
    session.add(outcome)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=record, verb="record_outcome", after={"answered": answered})
    return ContactShown(record, outcome)


def contact_records(
    session: Session, case_id: uuid.UUID, *, cursor: str | None, limit: int, actor: Actor
) -> Page[ContactShown]:
    """Contacts of a case, refused ones included, newest first; raise `NotFound`."""
    cases.require_case(session, case_id, actor=actor)
    query = select(ContactRecord).where(ContactRecord.case_id == case_id)
    page: Page[ContactRecord] = db.page(session, query, key_column=ContactRecord.id, cursor=cursor, limit=limit)
    return Page(_with_outcomes(session, page.items), page.next)


def _with_outcomes(session: Session, records: Sequence[ContactRecord]) -> list[ContactShown]:
    ids = [record.id for record in records]
    rows = session.scalars(select(ContactOutcome).where(ContactOutcome.contact_record_id.in_(ids)))
    outcomes = {outcome.contact_record_id: outcome for outcome in rows}
    return [ContactShown(record, outcomes.get(record.id)) for record in records]
