"""Where organisations want to be paid: their bank accounts, the newest of a currency counts, older ones stay."""

import uuid
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace import audit, db
from marketplace.actor import Actor, OrganisationKind
from marketplace.errors import NotFound
from marketplace.parties import service as parties
from settlement.domain.orders import Payer
from settlement.models import BankAccount


def payee_of(session: Session, organisation_id: uuid.UUID | None, *, currency: str) -> Payer:
    """Return whom and where to pay: the newest bank account of an organisation, else its name without an account."""
    if organisation_id is None:
        return Payer(name="", account="")
    found = newest_bank_account(session, organisation_id, currency=currency)
    if found is not None:
        return Payer(name=found.holder, account=found.number)
    return Payer(name=parties.require_organisation(session, organisation_id).name, account="")


def newest_bank_account(session: Session, organisation_id: uuid.UUID, *, currency: str) -> BankAccount | None:
    """Return where an organisation wants to be paid in a currency, None when it never said."""
    return session.scalars(
        select(BankAccount)
        .where(BankAccount.organisation_id == organisation_id, BankAccount.currency == currency)
        .order_by(BankAccount.id.desc())
        .limit(1)
    ).first()


def add_bank_account(
    session: Session,
    *,
    organisation_id: uuid.UUID,
    holder: str,
    number: str,
    bank_name: str,
    bank_code: str,
    currency: str,
    actor: Actor,
    at: datetime,
) -> BankAccount:
    """Say where an organisation wants to be paid; its own manager or the operator does. Raises `NotFound`."""
    if actor.organisation_kind is not OrganisationKind.OPERATOR and organisation_id != actor.organisation_id:
        raise NotFound("organisation", organisation_id)
    parties.require_organisation(session, organisation_id)
    row = BankAccount(
        id=db.new_id(),
        organisation_id=organisation_id,
        holder=holder,
        number=number,
        bank_name=bank_name,
        bank_code=bank_code,
        currency=currency,
        created_at=at,
        created_by=actor.name,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=row, verb="add", after={"number": number[-4:]})
    return row


def list_bank_accounts(session: Session, *, cursor: str | None, limit: int, actor: Actor) -> db.Page[BankAccount]:
    """Return a page of the bank accounts that the actor may see, newest first."""
    query = select(BankAccount)
    if not actor.sees_everything:
        query = query.where(BankAccount.organisation_id == actor.organisation_id)
    return db.page(session, query, key_column=BankAccount.id, cursor=cursor, limit=limit)
