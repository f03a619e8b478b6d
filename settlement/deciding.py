"""What a person says a line is for: matched at once, or proposed to a second person above the account's limit.

A match is taken back by a row beside it and the mirror image of its entry; nothing is edited. A settled payment order
and a paid deal stand.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from auctions import service as auctions
from marketplace import audit, db
from marketplace.actor import Actor
from marketplace.clock import local_date
from marketplace.errors import Conflict, Invalid, NotFound
from marketplace.files import StoredFile
from marketplace.money import Money
from settlement import card_payouts, deals, deposits, ledger, matches, receipt_keys, targets
from settlement.bank_models import MatchDecision, MatchProposal, MatchReversal, OwnAccount
from settlement.domain import ledger as books
from settlement.domain.ladder import Rung
from settlement.domain.ledger import BOOKS_ZONE
from settlement.domain.matching import DoesNotMatch, Finding, NothingToMatch
from settlement.domain.orders import check_approval
from settlement.domain.references import ReferenceKind, find_references, kind_of
from settlement.models import BankStatement, Entry, Match, StatementLine


class PartsInvalid(Invalid):
    """The parts of a match name a line twice, another currency, or more than is open."""

    code = "parts_invalid"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


class MatchStands(Conflict):
    """The match cannot be taken back any more."""

    code = "match_stands"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


class ProposalDecided(Conflict):
    """Somebody has decided on the proposal already."""

    code = "proposal_decided"

    def __init__(self) -> None:
        super().__init__("This proposal is decided already.")


class ThirdPartyUndocumented(Conflict):
    """Somebody else than the registered buyer paid, and nothing says why it counts."""

    code = "third_party_undocumented"

    def __init__(self) -> None:
        super().__init__(
            "Somebody else than the registered buyer paid. Attach a document and give a reason, for another person to "
            "decide on, or send the money back (refund)."
        )


db.violation("uq_match_decisions_proposal_id", ProposalDecided)


@dataclass(frozen=True, slots=True)
class Wanted:
    """So many minor units (None: all that is open) of a line for what a reference names."""

    line_id: uuid.UUID
    reference: str
    amount_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """Why the payment of a third party counts; of anybody else it may stay empty."""

    third_party: bool
    document_id: uuid.UUID | None
    reason: str


def match_line(
    session: Session,
    *,
    line_id: uuid.UUID,
    reference: str,
    parts: Sequence[dict[str, Any]],
    rung: Rung | None,
    document_id: uuid.UUID | None = None,
    reason: str = "",
    actor: Actor,
    at: datetime,
) -> matches.LineView:
    """Match what is open of a line with a reference that a person names, or several parts of lines and references.

    Parts are `{"line_id"?, "reference", "amount"}`; every one is matched in full or none at all. Above the limit of the
    line's account nothing is matched yet: a proposal waits for a second person. So does every payment of a third
    party, with a document and a reason that say why it counts. Raises `NotFound`, `NothingToMatch`, `PartsInvalid`,
    `ThirdPartyUndocumented`, and `DoesNotMatch` with the finding when it cannot be for that.
    """
    line = _hold(session, {line_id, *(part["line_id"] or line_id for part in parts)})[line_id]
    if bool(reference) == bool(parts):
        raise PartsInvalid("Name either one reference or the parts.")
    wanted = [Wanted(line_id, reference)] if reference else _wanted(line, parts)
    checked = _check(session, wanted)
    total = sum(one.amount_minor or 0 for one in checked)
    third_party = _is_third_party(session, checked)
    if third_party and not (document_id and reason):
        raise ThirdPartyUndocumented
    if third_party or total > _limit(session, line):
        proof = Proof(third_party, _document(session, document_id, actor), reason)
        _propose(session, line, checked, total, rung=rung, proof=proof, actor=actor, at=at)
    else:
        _carry_out(session, checked, whole=bool(reference), actor=actor, at=at)
    return matches.views(session, lines=[line])[0]


def _wanted(line: StatementLine, parts: Sequence[dict[str, Any]]) -> list[Wanted]:
    wanted = []
    for part in parts:
        amount: Money = part["amount"]
        if amount.currency != line.currency or amount.minor <= 0:
            raise PartsInvalid(f"A part is an amount above zero in {line.currency}.")
        wanted.append(Wanted(part["line_id"] or line.id, part["reference"], amount.minor))
    if len({(one.line_id, one.reference) for one in wanted}) != len(wanted):
        raise PartsInvalid("The same line and reference stand in two parts.")
    if line.id not in {one.line_id for one in wanted}:
        raise PartsInvalid("No part is of this line.")
    return wanted


def _hold(session: Session, line_ids: set[uuid.UUID]) -> dict[uuid.UUID, StatementLine]:
    """Lock lines in one order: two persons who match the same ones from two sides never wait for each other."""
    return {line_id: matches.lock_line(session, line_id) for line_id in sorted(line_ids)}


def _check(session: Session, wanted: Sequence[Wanted]) -> list[Wanted]:
    """Say which reference and how much of what is open each part means."""
    lines = _hold(session, {one.line_id for one in wanted})
    left = {key: abs(amount) for key, amount in matches.open_amounts(session, list(lines.values())).items()}
    checked = []
    for one in wanted:
        if not left[one.line_id]:
            raise NothingToMatch
        amount = left[one.line_id] if one.amount_minor is None else one.amount_minor
        if amount > left[one.line_id]:
            raise PartsInvalid("The parts of a line come to more than is open of it.")
        left[one.line_id] -= amount
        checked.append(Wanted(one.line_id, _meant(session, one.reference, lines[one.line_id]), amount))
    return checked


def _meant(session: Session, text: str, line: StatementLine) -> str:
    """Return the reference that a person means, of a notice its subject's; an order's for money in is one come back."""
    found = find_references(text)
    named = receipt_keys.named_by(session, found)
    meant = list(dict.fromkeys(named[one].subject if one in named else one for one in found))
    if len(meant) != 1 or not matches.is_known(session, meant[0]):
        raise DoesNotMatch(Finding.UNKNOWN_REFERENCE)
    if line.amount_minor < 0 and kind_of(meant[0]) is not ReferenceKind.PAYMENT_ORDER:
        raise DoesNotMatch(Finding.UNKNOWN_REFERENCE)
    return meant[0]


def _is_third_party(session: Session, checked: Sequence[Wanted]) -> bool:
    """Say whether a line of these was paid by somebody that nobody knows as a payer of what it is matched with."""
    wanted = targets.load(session, {one.reference for one in checked})
    lines = {one.line_id: session.get_one(StatementLine, one.line_id) for one in checked}
    return any(
        wanted[one.reference].kind is not ReferenceKind.PAYMENT_ORDER
        and wanted[one.reference].payers.is_third_party(
            lines[one.line_id].counterparty_name, lines[one.line_id].counterparty_account
        )
        for one in checked
    )


def _document(session: Session, document_id: uuid.UUID | None, actor: Actor) -> uuid.UUID | None:
    """Return the id of a document that the operator kept; raise `NotFound`, also for a file of somebody else."""
    kept = None if document_id is None else session.get(StoredFile, document_id)
    if document_id is not None and (kept is None or kept.organisation_id != actor.organisation_id):
        raise NotFound("document", document_id)
    return document_id


def _limit(session: Session, line: StatementLine) -> int:
    return session.scalars(
        select(OwnAccount.four_eyes_above_minor)
        .join(BankStatement, BankStatement.own_account_id == OwnAccount.id)
        .where(BankStatement.id == line.statement_id)
    ).one()


def _carry_out(session: Session, checked: Sequence[Wanted], *, whole: bool, actor: Actor, at: datetime) -> None:
    """Match every part. `whole`: a single reference may take less than the line has; a part is taken in full."""
    for one in checked:
        line = session.get_one(StatementLine, one.line_id)
        assert one.amount_minor is not None
        finding = matches.match_with(
            session, line=line, reference=one.reference, amount_minor=one.amount_minor, actor=actor, at=at
        )
        if finding not in matches.MATCHED or (finding is Finding.OVERPAYMENT and not whole):
            raise DoesNotMatch(finding)
        line.finding = finding
        audit.record(session, actor=actor, at=at, subject=line, verb="match", after={"reference": one.reference})
    session.flush()


def _propose(
    session: Session,
    line: StatementLine,
    checked: Sequence[Wanted],
    total: int,
    *,
    rung: Rung | None,
    proof: Proof,
    actor: Actor,
    at: datetime,
) -> None:
    person = actor.user_id or actor.api_key_id
    assert person is not None
    proposal = MatchProposal(
        id=db.new_id(),
        line_id=line.id,
        parts=[
            {"line_id": str(one.line_id), "reference": one.reference, "amount_minor": one.amount_minor}
            for one in checked
        ],
        amount_minor=total,
        currency=line.currency,
        rung=rung,
        third_party=proof.third_party,
        document_id=proof.document_id,
        reason=proof.reason,
        proposed_by_id=person,
        proposed_by=actor.name,
        proposed_at=at,
    )
    session.add(proposal)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=proposal, verb="propose", after={"amount": str(proposal.amount)})


def decide(
    session: Session, *, proposal_id: uuid.UUID, approved: bool, reason: str, actor: Actor, at: datetime
) -> matches.LineView:
    """Carry out a proposal, or turn it down; another person than the proposer does.

    Raises `NotFound`, `ProposalDecided`, `SamePerson`, `PersonNeeded`, and what `match_line` raises when the lines or
    what they were for have changed meanwhile.
    """
    proposal = session.get(MatchProposal, proposal_id)
    if proposal is None:
        raise NotFound("match proposal", proposal_id)
    check_approval(proposed_by_id=proposal.proposed_by_id, approver_id=actor.user_id)
    parts = [Wanted(uuid.UUID(one["line_id"]), one["reference"], one["amount_minor"]) for one in proposal.parts]
    line = _hold(session, {proposal.line_id, *(one.line_id for one in parts)})[proposal.line_id]
    if session.scalars(select(MatchDecision.id).where(MatchDecision.proposal_id == proposal_id)).first() is not None:
        raise ProposalDecided
    row = MatchDecision(
        id=db.new_id(),
        proposal_id=proposal_id,
        proposed_by_id=proposal.proposed_by_id,
        approved=approved,
        reason=reason,
        decided_by_id=actor.user_id,
        decided_by=actor.name,
        decided_at=at,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=proposal, verb="approve" if approved else "refuse", reason=reason)
    if approved:
        _carry_out(session, _check(session, parts), whole=len(parts) == 1, actor=actor, at=at)
    return matches.views(session, lines=[line])[0]


def unmatch(session: Session, *, match_id: uuid.UUID, reason: str, actor: Actor, at: datetime) -> matches.LineView:
    """Take a match back: its entry is reversed and the line's money is open again.

    A registration whose deposit is then no longer held in full is uncovered. Raises `NotFound`; `MatchStands` for a
    match that was taken back, paid an order, or came by card; `PaymentStands` for a paid deal; `AccountOverdrawn` when
    the deposit was used meanwhile; `Leading` while the bidder leads.
    """
    match = session.get(Match, match_id)
    if match is None or match.line_id is None:
        raise NotFound("match", match_id)
    line = matches.lock_line(session, match.line_id)
    if session.scalars(select(MatchReversal.id).where(MatchReversal.match_id == match_id)).first() is not None:
        raise MatchStands("This match was taken back already.")
    if match.payment_order_id is not None:
        raise MatchStands("A settled payment order stands; money that comes back is a line of its own.")
    if match.card_payout_id is None and kind_of(match.reference) is ReferenceKind.NOTICE:
        raise MatchStands("An adjustment that was paid stands; its payee is being paid, another one takes it back.")
    entry = _reverse(session, match, reason=reason, actor=actor, at=at)
    record_reversal(session, match=match, line=line, entry=entry, reason=reason, actor=actor, at=at)
    return matches.views(session, lines=[line])[0]


def record_reversal(
    session: Session, *, match: Match, line: StatementLine, entry: Entry, reason: str, actor: Actor, at: datetime
) -> None:
    """Write down that `entry` took a match back: its line is open again. The caller holds the line."""
    row = MatchReversal(
        id=db.new_id(),
        match_id=match.id,
        entry_id=entry.id,
        reason=reason,
        reversed_by_id=actor.user_id,
        reversed_by=actor.name,
        reversed_at=at,
    )
    session.add(row)
    line.finding = Finding.UNMATCHED
    session.flush()
    audit.record(session, actor=actor, at=at, subject=match, verb="unmatch", reason=reason)


def _reverse(session: Session, match: Match, *, reason: str, actor: Actor, at: datetime) -> Entry:
    on = local_date(at, BOOKS_ZONE)
    if match.card_payout_id is not None:
        return card_payouts.take_back(session, match=match, reason=reason, on=on, actor=actor, at=at)
    if match.deposit_id is None:
        return deals.take_payment_back(
            session, reference=match.reference, match_id=match.id, reason=reason, on=on, actor=actor, at=at
        )
    registration = auctions.registration_by_reference(session, match.reference)
    assert registration is not None
    ledger.lock(session, books.deposits(registration.id), currency=registration.currency, at=at)
    entry = session.scalars(
        select(Entry).where(Entry.source_kind == "match.deposit", Entry.source_id == match.id)
    ).one()
    reversal = ledger.reverse(session, entry_id=entry.id, reason=reason, value_on=on, actor=actor, at=at)
    held = deposits.held(session, registration_id=registration.id, currency=registration.currency)
    if held < registration.deposit_minor:
        auctions.uncover_registration(session, registration_id=registration.id, actor=actor, at=at)
    return reversal
