"""Our own accounts at banks: only their statements are taken in, and each account is a chain of them."""

import dataclasses
import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace import audit, db
from marketplace.actor import Actor
from marketplace.errors import Conflict, NotFound
from marketplace.money import Money
from settlement.bank_models import OwnAccount
from settlement.domain.account_chain import AccountNotOurs, Link
from settlement.domain.bank_csv import CsvProfile
from settlement.domain.csv_profiles import profile_named
from settlement.domain.names import plain_account
from settlement.models import BankStatement


class AccountRegistered(Conflict):
    """The account is on the list already."""

    code = "account_registered"

    def __init__(self) -> None:
        super().__init__("This account is registered in this currency already.")


class NoOwnAccount(Conflict):
    """Nobody can be asked to pay in a currency that we have no account in."""

    code = "no_own_account"

    def __init__(self, currency: str) -> None:
        super().__init__(f"None of our own accounts that fits is in {currency}; register it first.", currency=currency)


db.violation("uq_own_accounts_number_key_currency", AccountRegistered)


def register_account(
    session: Session,
    *,
    bank_name: str,
    holder: str,
    number: str,
    opening: Money,
    numbered: bool,
    csv_profile: str,
    four_eyes_above: Money,
    actor: Actor,
    at: datetime,
) -> OwnAccount:
    """Say that an account is ours, in the currency of `opening`, the balance before its first statement.

    Raises `AccountRegistered`, `UnknownProfile`, `CurrencyMismatch` (of the limit).
    """
    if csv_profile:
        profile_named(csv_profile)
    row = OwnAccount(
        id=db.new_id(),
        bank_name=bank_name,
        holder=holder,
        number=number,
        number_key=plain_account(number),
        currency=opening.currency,
        opening_minor=opening.minor,
        numbered=numbered,
        csv_profile=csv_profile,
        four_eyes_above_minor=(four_eyes_above - Money.zero(opening.currency)).minor,
        created_at=at,
        created_by=actor.name,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=row, verb="register", after={"number": number[-4:]})
    return row


def list_accounts(session: Session, *, cursor: str | None, limit: int) -> db.Page[OwnAccount]:
    """Return a page of our accounts, newest first."""
    return db.page(session, select(OwnAccount), key_column=OwnAccount.id, cursor=cursor, limit=limit)


def require_account(session: Session, account_id: uuid.UUID) -> OwnAccount:
    """Return one of our accounts; raise `NotFound`."""
    row = session.get(OwnAccount, account_id)
    if row is None:
        raise NotFound("own account", account_id)
    return row


def currencies(session: Session) -> frozenset[str]:
    """Return the currencies in which we have an account at a bank."""
    return frozenset(session.scalars(select(OwnAccount.currency).distinct()))


def oldest_of(session: Session, *, currency: str) -> OwnAccount | None:
    """Return our first account in a currency, None when we have none."""
    return session.scalars(
        select(OwnAccount).where(OwnAccount.currency == currency).order_by(OwnAccount.id).limit(1)
    ).first()


def require_oldest(session: Session, *, currency: str) -> OwnAccount:
    """Return our first account in a currency; raise `NoOwnAccount`."""
    found = oldest_of(session, currency=currency)
    if found is None:
        raise NoOwnAccount(currency)
    return found


def account_of(session: Session, *, number: str, currency: str) -> OwnAccount:
    """Return our account with this number (as compared) and currency; raise `AccountNotOurs`."""
    row = session.scalars(
        select(OwnAccount).where(OwnAccount.number_key == plain_account(number), OwnAccount.currency == currency)
    ).one_or_none()
    if row is None:
        raise AccountNotOurs(number, currency)
    return row


def link_of(session: Session, account: OwnAccount) -> Link:
    """Return where an account stands after its last statement, or before its first."""
    last = session.scalars(
        select(BankStatement)
        .where(BankStatement.own_account_id == account.id)
        .order_by(BankStatement.id.desc())
        .limit(1)
    ).first()
    if last is None:
        return Link(account.opening)
    return Link(Money(last.head_minor, account.currency), last.number, last.page, last.to_on)


def csv_profile(session: Session, *, name: str, account: str, currency: str, changes: dict[str, Any]) -> CsvProfile:
    """Return the layout to read a CSV export by: the one named, else that of our account, with what the sender says.

    Raises `UnknownProfile`.
    """
    if not name and account:
        wanted = select(OwnAccount.csv_profile).where(OwnAccount.number_key == plain_account(account))
        if currency:
            wanted = wanted.where(OwnAccount.currency == currency)
        name = session.scalars(wanted.order_by(OwnAccount.id)).first() or ""
    base = profile_named(name) if name else CsvProfile()
    said = {"account": account, "currency": currency, **changes}
    return dataclasses.replace(base, **{key: value for key, value in said.items() if value})
