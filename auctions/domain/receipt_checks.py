"""Receipts in a bidder's hand: read from the files they were kept in, and held against key, signature and log. Pure.

What a bundle's verification does for a whole auction (`evidence_checks`), for single receipts while it still runs.
"""

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from auctions.domain import proofs
from auctions.domain.canonical import canonical
from auctions.domain.proofs import SignedReceipt
from marketplace import documents
from marketplace.clock import NotAnInstant, parse_instant
from marketplace.errors import Invalid

MAX_RECEIPTS: Final = 200
"""So many receipts are checked at once."""

_DEPTH: Final = 4


class NotAReceipt(Invalid):
    """A file holds something that is no receipt, or none at all."""

    code = "not_a_receipt"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)


class Check(enum.StrEnum):
    """What a receipt is held against, in this order; the log is only asked once the signature holds."""

    AUCTION = "auction"
    KEY = "key"
    SIGNATURE = "signature"
    LOG = "log"


class Found(enum.StrEnum):
    """What came of a check."""

    RIGHT = "right"
    WRONG = "wrong"
    NOT_IN_LOG = "not_in_log"
    """Refused attempts are no entries of the log: their proof is the signature."""
    LATER = "later"
    """Cannot be told yet: the bids are sealed."""
    SKIPPED = "skipped"
    """Something before it was wrong."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A published key of the installation with its time."""

    public: bytes
    valid_from: datetime
    valid_until: datetime | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of each check of a receipt; `why` says in English what is wrong, empty when nothing is."""

    signed: SignedReceipt
    found: Mapping[Check, Found]
    why: str

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.why

    @property
    def accepted(self) -> bool:
        """Whether the receipt says that the attempt was accepted."""
        return bool(self.signed.receipt["answer"]["accepted"])


def read(content: bytes) -> list[SignedReceipt]:
    """Read the receipts in a file: one, a list, an answer of the API that has one (also a refusal), or a download.

    Raises `NotAReceipt`, which says what is wrong and what would do.
    """
    try:
        value = documents.parse(content)
    except documents.BadDocument as failure:
        raise NotAReceipt(f"This is no JSON: {failure.detail}") from None
    rows = list(_rows(value))
    if not rows:
        raise NotAReceipt(
            "There is no receipt in it. Give the answer to a bid, a refusal with its receipt, or a download."
        )
    if len(rows) > MAX_RECEIPTS:
        raise NotAReceipt(f"These are {len(rows)} receipts; at most {MAX_RECEIPTS} are checked at once.")
    return [_signed(row, place) for place, row in enumerate(rows, start=1)]


def _rows(value: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the documents that have a receipt and a signature, wherever an answer of ours keeps them."""
    if depth > _DEPTH:
        return
    if isinstance(value, list):
        for one in value:
            yield from _rows(one, depth + 1)
    elif isinstance(value, dict) and "signature" in value:
        yield value
    elif isinstance(value, dict):
        for name in ("receipt", "receipts", "items"):
            yield from _rows(value.get(name), depth + 1)


def _signed(row: dict[str, Any], place: int) -> SignedReceipt:
    """Return a receipt of the shape that bidders get; raise `NotAReceipt`."""
    receipt = row.get("receipt")
    signature = proofs.decode_base64(row["signature"]) if isinstance(row["signature"], str) else None
    fault = NotAReceipt(f"Receipt {place} is not written as receipts are: copy the whole document as it was given.")
    if (
        not isinstance(receipt, dict)
        or not _is_receipt(receipt)
        or signature is None
        or row.get("key_id") != receipt["key_id"]
    ):
        raise fault
    single = receipt["type"] == proofs.SINGLE_TYPE
    inclusion = None if single else proofs.read_inclusion(row.get("inclusion"))
    if inclusion is None and not single:
        raise fault
    try:
        return SignedReceipt(receipt, canonical(receipt), signature, inclusion)
    except TypeError:
        raise fault from None


def _is_receipt(receipt: dict[str, Any]) -> bool:
    texts = ("auction_id", "rules_hash", "key_id")
    return (
        receipt.get("type") in (proofs.TYPE, proofs.SINGLE_TYPE)
        and all(isinstance(receipt.get(name), str) for name in texts)
        and all(isinstance(receipt.get(name), dict) for name in ("event", "answer"))
        and isinstance(receipt["answer"].get("accepted"), bool)
        and _is_instant(receipt["event"].get("at"))
        and all(name in receipt and isinstance(receipt[name], str | None) for name in _TEXTS_OR_NULL)
    )


_TEXTS_OR_NULL: Final = ("head", "price", "ends_at", "idempotency_key_hash")
"""What every receipt says, if only that there is none."""


def _is_instant(text: Any) -> bool:
    try:
        parse_instant(text)
    except (NotAnInstant, TypeError, AttributeError):
        return False
    return True


def check(signed: SignedReceipt, *, auction_id: str, rules_hash: str, keys: Mapping[str, PublicKey]) -> Verdict:
    """Hold a receipt against its auction, its key and its signature; the log is still to be asked."""
    steps = {
        Check.AUCTION: _auction_fault(signed, auction_id=auction_id, rules_hash=rules_hash),
        Check.KEY: _key_fault(signed, keys),
    }
    if not any(steps.values()):
        steps[Check.SIGNATURE] = signed.fault(keys[signed.receipt["key_id"]].public)
    found = {one: Found.SKIPPED if one not in steps else Found.WRONG if steps[one] else Found.RIGHT for one in Check}
    return Verdict(signed, found, "; ".join(fault for fault in steps.values() if fault))


def _auction_fault(signed: SignedReceipt, *, auction_id: str, rules_hash: str) -> str | None:
    if signed.receipt["auction_id"] != auction_id:
        return "it is of another auction"
    return None if signed.receipt["rules_hash"] == rules_hash else "it is under other rules"


def _key_fault(signed: SignedReceipt, keys: Mapping[str, PublicKey]) -> str | None:
    key = keys.get(signed.receipt["key_id"])
    if key is None:
        return "its key is not among the published ones"
    at = parse_instant(signed.receipt["event"]["at"])
    in_force = key.valid_from <= at and (key.valid_until is None or at < key.valid_until)
    return None if in_force else "its key was not in force at its time"


def in_log(verdict: Verdict, found: Found, why: str = "") -> Verdict:
    """Return a verdict with what the log says."""
    return Verdict(verdict.signed, {**verdict.found, Check.LOG: found}, why)


def links(signed: SignedReceipt, *, before: bytes, after: bytes) -> str | None:
    """Return what keeps a receipt from being the link between two heads of the log, None when it is."""
    if signed.receipt["head"] != proofs.head_text(before):
        return "the log has another head before it"
    return None if proofs.link(before, signed) == after else "the log has another entry in its place"
