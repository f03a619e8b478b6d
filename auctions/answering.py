"""What bidders are shown of a decided batch: receipts, and refusals with theirs, made once the lock is let go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from auctions import log, refusals
from auctions.domain import proofs
from auctions.domain.proofs import Draft, SignedReceipt
from auctions.judging import Acceptance, Decision, Refusal, Room, Turned
from auctions.receipts import Receipt
from auctions.refusals import BidRefused
from marketplace.errors import Failure
from marketplace.money import Money


@dataclass(frozen=True, slots=True)
class Decided:
    """A batch that was decided: holds once its transaction is committed.

    `room` is where; None if there is no such auction. `written` has the receipts of new entries by number.
    """

    decisions: Sequence[Decision]
    room: Room | None = None
    written: Mapping[int, SignedReceipt] = field(default_factory=dict)

    def answers(self) -> list[Receipt | Failure]:
        """Sign the refusals with one signature, and return the answers in the order of the attempts.

        To be called after the commit: until then others wait for the lock. Where numbers are hidden each refusal is
        signed by itself.
        """
        if self.room is None:
            return [one for one in self.decisions if isinstance(one, Failure)]
        told = _Told(self.room, self.written)
        refused = iter(told.refused([one for one in self.decisions if isinstance(one, Refusal | Turned)]))
        return [next(refused) if isinstance(one, Refusal | Turned) else told.answer(one) for one in self.decisions]


class _Told:
    """The answers of one batch, those that are the same made once."""

    def __init__(self, room: Room, written: Mapping[int, SignedReceipt]) -> None:
        self._room = room
        self._written = written
        self._failures: dict[tuple[Any, ...], BidRefused] = {}
        self._documents: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._receipts: dict[int, Receipt] = {}

    def refused(self, those: Sequence[Refusal | Turned]) -> list[Failure]:
        """Return refusals with their receipts, all of them under one signature."""
        if not those:
            return []
        room = self._room
        drafts = [self._draft(one) for one in those]
        signed = proofs.sign(room.signer, drafts, alone=room.sealed or room.standing.sealed)
        return [
            refusals.with_receipt(self._failure(one), proof.document) for one, proof in zip(those, signed, strict=True)
        ]

    def _draft(self, one: Refusal | Turned) -> Draft:
        room = self._room
        return log.draft(
            room.head,
            one.event,
            self._answer_document(one),
            one.standing,
            key_digest=one.case.attempt.digest,
            key_id=room.signer.key_id,
            chained=False,
        )

    def _answer_document(self, one: Refusal | Turned) -> dict[str, Any]:
        if isinstance(one, Turned):
            return {"accepted": False, "code": one.failure.code}
        answer = one.answer
        same = (answer.code, answer.minimum_next)
        found = self._documents.get(same)
        if found is None:
            found = self._documents[same] = log.answer_document(answer, self._room.row.currency)
        return found

    def _failure(self, one: Refusal | Turned) -> Failure:
        if isinstance(one, Turned):
            return one.failure
        answer, at = one.answer, one.event.at
        assert answer.code is not None
        same = (answer.code, answer.minimum_next, at)
        found = self._failures.get(same)
        if found is None:
            least = self._money(answer.minimum_next)
            found = self._failures[same] = refusals.REFUSALS[answer.code](minimum_next=least, at=at)
        return found

    def answer(self, decision: Receipt | Failure | Acceptance) -> Receipt | Failure:
        """Return the answer to whatever the rules did not refuse."""
        if not isinstance(decision, Acceptance):
            return decision
        number = decision.entry.number
        if number not in self._receipts:
            self._receipts[number] = self._receipt(decision)
        return self._receipts[number]

    def _receipt(self, one: Acceptance) -> Receipt:
        entry = one.entry
        return Receipt(
            auction_id=self._room.row.id,
            number=entry.number,
            sequence=entry.sequence,
            kind=one.case.attempt.kind,
            bidder=one.seat.bidder_code,
            amount=one.case.attempt.amount,
            price=self._money(entry.price_minor),
            leader=entry.leader,
            minimum_next=self._money(one.answer.minimum_next),
            ends_at=entry.ends_at,
            at=entry.at,
            proof=self._written[entry.number].document,
        )

    def _money(self, minor: int | None) -> Money | None:
        return None if minor is None else Money(minor, self._room.row.currency)
