"""Routes of a running auction: where it stands, attempts, what the operator does to it."""

import uuid
from typing import Any

from flask import Response, request

from auctions import bid_schemas as schemas
from auctions import bidding, feed, receipts, steering, viewing
from marketplace import http, idempotency
from marketplace.actor import Role, Scope
from marketplace.db import Page
from marketplace.fields import PageArgs, ReasonIn, page_of
from marketplace.policies import allow, signed_in
from marketplace.runtime import current

blueprint = http.Blueprint("bids", description="What am I bid?")

_STEER = allow(Role.OPERATOR_ADMIN, Role.OPERATOR_COMPLIANCE)


def _steered(deed: Any, auction_id: uuid.UUID, data: dict[str, Any]) -> viewing.AuctionView:
    deed(http.session(), auction_id=auction_id, **data, vault=current().vault, actor=http.actor(), at=http.at())
    return viewing.view_auction(http.session(), auction_id, actor=http.actor())


@blueprint.get("/auctions/<uuid:auction_id>", policy=signed_in())
@blueprint.response(200, schemas.AuctionOut)
def show_auction(auction_id: uuid.UUID) -> viewing.AuctionView:
    """Show where an auction stands, by PostgreSQL's clock."""
    return viewing.view_auction(http.session(), auction_id, actor=http.actor())


@blueprint.post("/auctions/<uuid:auction_id>/bids", policy=allow(Role.BUYER_BIDDER, scope=Scope.BID))
@blueprint.doc(parameters=[dict(idempotency.PARAMETER)])
@blueprint.arguments(schemas.BidIn)
@blueprint.response(201, schemas.ReceiptOut)
def place_bid(data: dict[str, Any], auction_id: uuid.UUID) -> receipts.Receipt:
    """Bid; a refusal names its rule by a stable code and, where it helps, the least next bid.

    The key is kept with the attempt itself, which is its own stored answer: a repetition is free, and a refused attempt
    writes nothing at all.
    """
    key = idempotency.require_key(request)
    return bidding.place_bid(http.session(), auction_id=auction_id, **data, idempotency_key=key, actor=http.actor())


@blueprint.get("/auctions/<uuid:auction_id>/bids", policy=signed_in())
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.BidOut))
def list_bids(page: dict[str, Any], auction_id: uuid.UUID) -> Page[viewing.BidView]:
    """List the accepted attempts under bidder codes, newest first; sealed ones only once they are opened."""
    return viewing.list_bids(http.session(), auction_id=auction_id, **page, actor=http.actor())


@blueprint.get("/auctions/<uuid:auction_id>/feed", policy=signed_in())
@blueprint.doc(
    parameters=[{"in": "header", "name": "Last-Event-ID", "schema": {"type": "string"}}],
    responses={
        "200": {
            "description": "Server-sent events `bid`, `standing`, `skipped`, `time`, each with `server_time`; the id is"
            " the number of the last entry shown. For display only.",
            "content": {feed.MEDIA_TYPE: {"schema": {"type": "string"}}},
        }
    },
)
def follow_auction(auction_id: uuid.UUID) -> Response:
    """Tell what came after `Last-Event-ID` and where the auction stands; a feed process keeps the stream open."""
    after = feed.last_event(request.headers.get("Last-Event-ID"))
    news = feed.read_news(http.session(), auction_id=auction_id, after=after)
    return Response(feed.body_of(news), mimetype=feed.MEDIA_TYPE, headers={"Cache-Control": "no-store"})


@blueprint.post("/auctions/<uuid:auction_id>/suspend", policy=_STEER)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.AuctionOut)
def suspend_auction(data: dict[str, Any], auction_id: uuid.UUID) -> viewing.AuctionView:
    """Stop the bidding and the clock, with a reason."""
    return _steered(steering.suspend_auction, auction_id, data)


@blueprint.post("/auctions/<uuid:auction_id>/resume", policy=_STEER)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.AuctionOut)
def resume_auction(data: dict[str, Any], auction_id: uuid.UUID) -> viewing.AuctionView:
    """Let the bidding go on: everybody has at least one extension left."""
    return _steered(steering.resume_auction, auction_id, data)


@blueprint.post("/auctions/<uuid:auction_id>/void", policy=allow(Role.OPERATOR_COMPLIANCE))
@blueprint.arguments(schemas.VoidIn)
@blueprint.response(200, schemas.AuctionOut)
def void_bidder(data: dict[str, Any], auction_id: uuid.UUID) -> viewing.AuctionView:
    """Remove a bidder that may not take part; its attempts stay visible and count no more."""
    return _steered(steering.void_bidder, auction_id, data)
