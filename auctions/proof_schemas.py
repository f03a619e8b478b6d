"""What the routes of proofs take in and give out."""

from typing import Any

import marshmallow as ma

from auctions.domain.ceremony import ShareHolder
from auctions.domain.proofs import encode_base64, head_text
from auctions.domain.receipt_checks import MAX_RECEIPTS, Found
from auctions.opening import SealingView
from auctions.own_receipts import OwnReceipt
from auctions.protocol import ProtocolLanguage
from marketplace.fields import Amount, Choice, Count, Flag, Id, Instant, Schema, Text


class SigningKeyOut(Schema):
    """A public key: receipts and bundles made from `valid_from` until `valid_until` are signed with it."""

    key_id = ma.fields.String(required=True)
    algorithm = ma.fields.Constant("Ed25519", required=True)
    public_key = ma.fields.Function(lambda row: encode_base64(row.public), required=True, metadata={"type": "string"})
    valid_from = Instant(required=True)
    valid_until = Instant(required=True, allow_none=True)


class ShareOut(Schema):
    """A share, told once: keep the line off this system."""

    holder = Choice(ShareHolder, required=True)
    share = ma.fields.String(required=True)


class ShareIn(Schema):
    """A share as it was collected."""

    share = Text(maximum=400, required=True)


class SharePlaceOut(Schema):
    """A holder's share as everybody sees it."""

    holder = Choice(ShareHolder, required=True)
    collected = Flag(required=True)
    submitted_at = Instant(required=True, allow_none=True)


class SealingOut(Schema):
    """The sealing of an auction. Two submitted shares open it, at or after its end.

    `books_head` commits to the sealed books at fixed moments, whether there are bids or not: keep one to check later.
    """

    auction_id = Id(required=True)
    public_key = ma.fields.String(required=True)
    room = Count(required=True)
    books_head = ma.fields.String(required=True, allow_none=True)
    books_committed_at = Instant(required=True, allow_none=True)
    opened_at = Instant(required=True, allow_none=True)
    shares = ma.fields.List(ma.fields.Nested(SharePlaceOut), required=True)

    @ma.pre_dump
    def flatten(self, view: SealingView, **_: Any) -> dict[str, Any]:
        """Write the public key and the head as text."""
        names = ("auction_id", "room", "books_committed_at", "opened_at", "shares")
        head = None if view.books_head is None else head_text(view.books_head)
        values = {name: getattr(view, name) for name in names}
        return values | {"public_key": encode_base64(view.public), "books_head": head}


class ReceiptsIn(Schema):
    """Receipts as bidders got them: documents with `receipt` and `signature`, or answers that hold one."""

    receipts = ma.fields.List(ma.fields.Dict(), required=True, validate=ma.validate.Length(1, MAX_RECEIPTS))


class ReceiptChecksOut(Schema):
    """What came of each check; the log is asked only once the signature holds."""

    auction = Choice(Found, required=True)
    key = Choice(Found, required=True)
    signature = Choice(Found, required=True)
    log = Choice(Found, required=True)


class OwnReceiptOut(Schema):
    """A receipt, what it says, and whether it holds; `why` names what is wrong."""

    holds = Flag(required=True)
    why = ma.fields.String(required=True)
    checks = ma.fields.Nested(ReceiptChecksOut, required=True)
    accepted = Flag(required=True)
    sequence = Count(required=True, allow_none=True)
    kind = ma.fields.String(required=True)
    bidder = ma.fields.String(required=True)
    amount = Amount(required=True, allow_none=True)
    price = Amount(required=True, allow_none=True)
    code = ma.fields.String(required=True, allow_none=True)
    at = Instant(required=True)
    receipt = ma.fields.Dict(required=True)

    @ma.pre_dump
    def flatten(self, row: OwnReceipt, **_: Any) -> dict[str, Any]:
        """Bring receipt and verdict side by side."""
        names = ("sequence", "kind", "bidder", "amount", "price", "code", "at")
        verdict = row.verdict
        return {name: getattr(row, name) for name in names} | {
            "holds": verdict.holds,
            "why": verdict.why,
            "checks": {check.value: found for check, found in verdict.found.items()},
            "accepted": verdict.accepted,
            "receipt": row.document,
        }


class CheckedReceiptsOut(Schema):
    """The receipts that were given, in their order, each checked."""

    items = ma.fields.List(ma.fields.Nested(OwnReceiptOut), required=True)


class ProtocolArgs(Schema):
    """Language of the protocol."""

    language = Choice(ProtocolLanguage, load_default=ProtocolLanguage.ZH)
