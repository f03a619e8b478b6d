"""What the routes of a running auction take in and give out."""

import marshmallow as ma

from auctions.domain.formats import AttemptKind, Phase
from auctions.domain.lifecycles import EntryKind, LiveState
from marketplace.fields import Amount, Choice, Count, Flag, Id, Instant, Schema, Text

MAX_LOTS = 1000


class BidIn(Schema):
    """An attempt. Which kinds an auction takes, its format says; the amount only where the kind has one."""

    kind = Choice(AttemptKind, load_default=AttemptKind.BID)
    amount = Amount(
        positive=True, metadata={"description": "What is bid, the maximum, or the price seen when it is accepted."}
    )
    lots = ma.fields.List(
        Text(maximum=200), load_default=(), validate=ma.validate.Length(max=MAX_LOTS), metadata={"uniqueItems": True}
    )
    confirmed = Flag(
        load_default=False, metadata={"description": "True repeats an amount that is far above what is needed."}
    )


class ReceiptOut(Schema):
    """The standing right after one's accepted attempt; `server_time` is when it entered the system.

    `receipt` is the signed receipt: `{"receipt", "signature", "key_id", "inclusion"}`. Of a sealed attempt nothing
    else is told.
    """

    auction_id = Id(required=True)
    number = Count(required=True, allow_none=True)
    sequence = Count(required=True, allow_none=True)
    kind = Choice(AttemptKind, required=True)
    bidder = ma.fields.String(required=True)
    amount = Amount(required=True, allow_none=True)
    price = Amount(required=True, allow_none=True)
    leader = ma.fields.String(required=True, allow_none=True)
    minimum_next = Amount(required=True, allow_none=True)
    ends_at = Instant(required=True)
    server_time = Instant(attribute="at", required=True)
    receipt = ma.fields.Dict(attribute="proof", required=True, allow_none=True)


class BidOut(Schema):
    """An accepted attempt under its bidder's code, with price and end after it.

    `amount` is null for a withdrawal and for another's maximum. `voided`: its bidder was removed.
    """

    number = Count(required=True)
    sequence = Count(required=True)
    kind = Choice(EntryKind, required=True)
    bidder = ma.fields.String(required=True)
    amount = Amount(required=True, allow_none=True)
    price = Amount(required=True, allow_none=True)
    at = Instant(required=True)
    ends_at = Instant(required=True)
    voided = Flag(required=True)


class AuctionOut(Schema):
    """An auction at `server_time`. `leader` and `you` are bidder codes.

    `asked` is the price that an acceptance takes now. While bids are sealed there is no price, leader or sequence.
    `head` is the published head of the log's hash chain. Bids sent to the same path under `live_url` are decided by the
    live door, faster and to the same effect; null where none runs.
    """

    id = Id(required=True)
    listing_id = Id(required=True)
    package_id = Id(required=True)
    state = Choice(LiveState, required=True)
    phase = Choice(Phase, required=True)
    price = Amount(required=True, allow_none=True)
    leader = ma.fields.String(required=True, allow_none=True)
    minimum_next = Amount(required=True, allow_none=True)
    asked = Amount(required=True, allow_none=True)
    sequence = Count(required=True, allow_none=True)
    extensions = Count(required=True)
    opens_at = Instant(required=True)
    ends_at = Instant(required=True)
    server_time = Instant(required=True)
    rules = ma.fields.Dict(required=True)
    rules_hash = ma.fields.String(required=True)
    reserve_commitment = ma.fields.String(required=True)
    head = ma.fields.String(required=True, allow_none=True)
    you = ma.fields.String(required=True, allow_none=True)
    your_maximum = Amount(required=True, allow_none=True)
    live_url = ma.fields.String(required=True, allow_none=True)


class VoidIn(Schema):
    """Whom to remove, and why."""

    registration_id = Id(required=True)
    reason = Text(maximum=1000, required=True)
