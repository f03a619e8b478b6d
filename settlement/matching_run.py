"""The automatic rungs for all new lines of a file at once: loaded once, decided in memory, written in bulk.

The number of queries does not depend on the number of lines that pay deposits; deals and payment orders, which are few
and have a life of their own, are handed one by one to the functions that own them. Nothing below the third rung is done
here: such lines wait in the exception queue, where `settlement.suggesting` says what they may be for.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from auctions import service as auctions
from marketplace import db
from marketplace.actor import Actor
from marketplace.money import Money
from settlement import card_returns, deposits, ledger, matches, receipt_keys, targets
from settlement.domain import ledger as books
from settlement.domain.ladder import Movement, OpenItems, by_key
from settlement.domain.matching import Finding, choose_reference, match_deposit
from settlement.domain.names import plain_account
from settlement.domain.notices import Named, subjects
from settlement.domain.orders import Rail
from settlement.domain.references import ReferenceKind, find_references
from settlement.models import StatementLine
from settlement.targets import Target

CHUNK: Final = 5_000
"""Rows of one bulk statement; keeps arrays and memory bounded."""

Report = Callable[[int, int, str], None]
"""report(done, total, step): how many of the new lines are through which step."""


@dataclass(slots=True)
class NewLine:
    """A line that is about to be stored: its columns, what it names and, once decided, its finding."""

    row: dict[str, Any]
    references: Sequence[str]
    finding: Finding = Finding.NO_REFERENCE
    target: Target | None = None

    @classmethod
    def of(cls, row: dict[str, Any]) -> "NewLine":
        """Find the references in the texts of a line."""
        text = f"{row['remittance']} {row['end_to_end_id']}"
        return cls(row, find_references(text) if row["amount_minor"] else ())

    @property
    def movement(self) -> Movement:
        """The line as the ladder sees it."""
        row = self.row
        return Movement(
            line=str(row["id"]),
            amount_minor=abs(row["amount_minor"]),
            currency=row["currency"],
            incoming=row["amount_minor"] > 0,
            booked_on=row["booked_on"],
            references=tuple(self.references),
            sub_account=row["sub_account"],
            payer_name=row["counterparty_name"],
            payer_account=row["counterparty_account"],
            account=plain_account(row["account_number"]),
        )


@dataclass(slots=True)
class Decisions:
    """What is to be written for deposits, and the lines that other functions match one by one."""

    matches: list[dict[str, Any]] = field(default_factory=list)
    drafts: list[ledger.Draft] = field(default_factory=list)
    deposits: dict[uuid.UUID, Target] = field(default_factory=dict)
    covered: set[uuid.UUID] = field(default_factory=set)
    others: list[NewLine] = field(default_factory=list)


def decide(session: Session, lines: Sequence[NewLine], *, actor: Actor, at: datetime) -> Decisions:
    """Say what each line is for, in the order given, and hold the accounts of the deposits that it touches.

    Writes nothing but accounts: `row["finding"]` of each line and the decisions returned are for `write`.
    """
    notices = receipt_keys.named_by(session, {reference for line in lines for reference in line.references})
    for line in lines if notices else ():
        line.references = subjects(line.references, notices, on=line.row["booked_on"])
    known = targets.load(session, {reference for line in lines for reference in line.references})
    _resolve(session, lines, known, notices)
    targets.lock_deposits(session, {line.target.id: line.target for line in lines if line.target}.values(), at=at)
    decisions = Decisions()
    for line in lines:
        if line.target is not None:
            _decide(line, line.target, decisions, actor=actor, at=at)
        line.row["finding"] = line.finding
    return decisions


def _resolve(
    session: Session, lines: Sequence[NewLine], known: dict[str, Target], notices: Mapping[str, Named]
) -> None:
    """The rungs by reference, then, for lines without any, the rung by key."""
    bare: list[NewLine] = []
    for line in lines:
        incoming = line.row["amount_minor"] > 0
        if not line.row["amount_minor"]:
            line.finding = Finding.ZERO
            continue
        chosen = choose_reference(line.references, incoming=incoming, known=known.__contains__)
        if isinstance(chosen, Finding):
            is_void = chosen is Finding.UNKNOWN_REFERENCE and not notices.keys().isdisjoint(line.references)
            line.finding = Finding.NOTICE_VOID if is_void else chosen
            if chosen is Finding.NO_REFERENCE and incoming:
                bare.append(line)
        else:
            line.target = known[chosen]
    keys = receipt_keys.keys_for(
        session,
        amounts={(line.row["currency"], line.row["amount_minor"]) for line in bare},
        sub_accounts={line.row["sub_account"] for line in bare if line.row["sub_account"]},
    )
    if not keys.references:
        return
    keyed = targets.load(session, keys.references)
    keyed |= {reference: known[reference] for reference in keyed.keys() & known.keys()}
    items = OpenItems(targets.open_items(keyed.values(), keys))
    for line in bare:
        suggestion = by_key(line.movement, items)
        if suggestion is not None:
            line.target = keyed[suggestion.parts[0].reference]


def _decide(line: NewLine, target: Target, decisions: Decisions, *, actor: Actor, at: datetime) -> None:
    row = line.row
    if target.kind is not ReferenceKind.PAYMENT_ORDER and target.payers.is_third_party(
        row["counterparty_name"], row["counterparty_account"]
    ):
        line.finding = Finding.THIRD_PARTY_PAYER
        return
    if target.kind is not ReferenceKind.DEPOSIT:
        decisions.others.append(line)
        return
    decision = match_deposit(
        Money(row["amount_minor"], row["currency"]),
        required=Money(target.required_minor, target.currency),
        held_minor=target.held_minor,
        is_open=target.is_open,
        tail_minor=target.tail_minor,
    )
    line.finding = decision.finding
    if decision.applied_minor:
        target.held_minor += decision.applied_minor
        _hold(line, target, decision.applied_minor, decisions, actor=actor, at=at)
    if decision.applied_minor and decision.covers:
        decisions.covered.add(target.id)


def _hold(
    line: NewLine, target: Target, amount_minor: int, decisions: Decisions, *, actor: Actor, at: datetime
) -> None:
    row = line.row
    if target.deposit_id is None:
        target.deposit_id = db.new_id()
        decisions.deposits[target.deposit_id] = target
    match_id = db.new_id()
    decisions.matches.append(
        {
            "id": match_id,
            "line_id": row["id"],
            "reference": target.reference,
            "deposit_id": target.deposit_id,
            "amount_minor": amount_minor,
            "currency": target.currency,
            "automatic": True,
            "matched_by": actor.name,
            "matched_at": at,
            "payer_name": row["counterparty_name"],
            "payer_account": row["counterparty_account"],
            "rail": Rail.WIRE,
        }
    )
    decisions.drafts.append(
        deposits.hold_draft(
            registration_id=target.id,
            reference=target.reference,
            received=Money(amount_minor, target.currency),
            from_account=books.unapplied(row["id"]),
            source_kind="match.deposit",
            source_id=match_id,
            value_on=row["value_on"],
        )
    )


def write(session: Session, decisions: Decisions, *, actor: Actor, at: datetime, report: Report) -> None:
    """Write matches and entries of deposits in bulk, cover registrations, then match deals and orders one by one.

    The lines are stored and posted before.
    """
    made = [
        {
            "id": deposit_id,
            "registration_id": target.id,
            "organisation_id": target.organisation_id,
            "reference": target.reference,
            "required_minor": target.required_minor,
            "currency": target.currency,
            "created_at": at,
        }
        for deposit_id, target in decisions.deposits.items()
    ]
    for table, rows in (("deposits", made), ("matches", decisions.matches)):
        if rows:
            db.copy_rows(session, table, tuple(rows[0]), rows)
    done = 0
    for start in range(0, len(decisions.drafts), CHUNK):
        drafts = decisions.drafts[start : start + CHUNK]
        ledger.post_many(session, drafts, actor=actor, at=at)
        done += len(drafts)
        report(done, len(decisions.drafts), "matching")
    if decisions.covered:
        auctions.cover_registrations(session, registration_ids=decisions.covered, actor=actor, at=at)
        card_returns.give_up(session, registration_ids=decisions.covered, at=at)
    for line in decisions.others:
        row = session.get_one(StatementLine, line.row["id"])
        assert line.target is not None
        row.finding = matches.match_other(
            session, line=row, reference=line.target.reference, automatic=True, actor=actor, at=at
        )
    session.flush()
