"""The auction pages: live while it runs, the result afterwards. The time on them is PostgreSQL's, as for the bids."""

import uuid
from datetime import datetime
from typing import Any, Final

from flask import Response, request, url_for
from sqlalchemy.orm import Session
from werkzeug.utils import redirect

from auctions import service as auctions
from console import charts, display, offers, site
from console import sale as sales
from console.room import SHOWN_BIDS, BidLine, Room, version_of
from console.site import pages
from marketplace import http, policies
from marketplace.actor import Actor
from marketplace.clock import parse_instant
from marketplace.money import Money
from marketplace.parties import service as parties
from marketplace.runtime import current

DRAWN_BIDS: Final = 200
"""How many bids the line of the price is drawn from."""


@pages.route("/auctions/<uuid:auction_id>", policy=policies.signed_in())
def auction(auction_id: uuid.UUID) -> Any:
    """Show an auction live."""
    view = auctions.view_auction(http.session(), auction_id, actor=http.actor())
    room = _room(http.session(), view, http.actor())
    sealing = sales.sealing_of(http.session(), auction_id)
    return _dated(site.render("auction.html", room=room, feed=_feed(auction_id), sealing=sealing), view)


def _feed(auction_id: uuid.UUID) -> str:
    """Return the address of the auction's feed, empty where no process serves it."""
    origin = current().settings.feed_url
    return f"{origin}/api/v1/auctions/{auction_id}/feed" if origin else ""


@pages.route("/auctions/<uuid:auction_id>/live", policy=policies.signed_in())
def live(auction_id: uuid.UUID) -> Any:
    """Answer what changed since the version `seen`: the part drawn anew, or 204 and the market's time."""
    view = auctions.view_auction(http.session(), auction_id, actor=http.actor())
    if request.args.get("seen") == version_of(view):
        return _dated(Response(status=204), view)
    return _dated(site.render("live.html", room=_room(http.session(), view, http.actor())), view)


def _dated(response: Response, view: auctions.AuctionView) -> Response:
    """Say the market's time in a header, in milliseconds since 1970."""
    response.headers["Market-Time"] = str(display.milliseconds(view.server_time))
    return response


def _room(session: Session, view: auctions.AuctionView, actor: Actor) -> Room:
    found = auctions.list_bids(session, auction_id=view.id, cursor=None, limit=DRAWN_BIDS, actor=actor)
    bids = _lines(list(found.items), view, complete=found.next is None)
    currency = view.rules["currency"]
    start = Money.parse(view.rules.get("start_price", "0"), currency)
    soft_close = view.rules.get("soft_close") or {}
    return Room(
        auction_id=view.id,
        listing_id=view.listing_id,
        title=offers.title_of(auctions.get_listing(session, view.listing_id, actor=actor)),
        state=view.state,
        now=view.server_time,
        opens_at=view.opens_at,
        ends_at=view.ends_at,
        first_ends_at=_first_end(view),
        start=start,
        price=view.price,
        minimum_next=view.minimum_next if view.state in _BIDDING else None,
        leader=view.leader,
        own=view.you,
        bids=tuple(bids[:SHOWN_BIDS]),
        bid_count=view.sequence or 0,
        extensions=view.extensions,
        clock_seconds=view.rules.get("first_bid_clock_seconds"),
        window_seconds=soft_close.get("window_seconds", 0),
        extension_seconds=soft_close.get("extension_seconds", 0),
        line=charts.price_line(
            [(bid.at, bid.price.minor) for bid in reversed(bids)],
            start=start.minor if found.next is None or not bids else bids[-1].price.minor,
            opens_at=view.opens_at if found.next is None or not bids else bids[-1].at,
            until=min(view.server_time, view.ends_at),
        ),
        version=version_of(view),
        is_sealed=view.sequence is None,
    )


_BIDDING: Final = frozenset({auctions.LiveState.SCHEDULED, auctions.LiveState.OPEN})


def _lines(bids: list[auctions.BidView], view: auctions.AuctionView, *, complete: bool) -> list[BidLine]:
    """Return bids, newest first, each with whether it moved the end past the one before it."""
    if not bids:
        return []
    first_end = _first_end(view) if complete else bids[-1].ends_at
    ends_before = [*(bid.ends_at for bid in bids[1:]), first_end]
    return [
        BidLine(
            sequence=bid.sequence,
            code=bid.bidder,
            own=bid.bidder == view.you,
            price=bid.price,
            at=bid.at,
            moved_end=bid.ends_at > before,
        )
        for bid, before in zip(bids, ends_before, strict=True)
        if bid.price is not None
    ]


def _first_end(view: auctions.AuctionView) -> datetime:
    """Return the end as announced; formats that end by themselves have none in their rules."""
    announced = view.rules.get("ends_at")
    return view.ends_at if announced is None else parse_instant(announced)


@pages.route("/auctions/<uuid:auction_id>/result", policy=policies.signed_in())
def result(auction_id: uuid.UUID) -> Any:
    """Show how an auction ended; while it runs, the live page."""
    session, actor = http.session(), http.actor()
    view = auctions.view_auction(session, auction_id, actor=actor)
    room = _room(session, view, actor)
    if not room.final:
        return redirect(url_for("console.auction", auction_id=auction_id), 303)
    outcome = auctions.result(session, auction_id=auction_id, actor=actor)
    known = [award.organisation_id for award in outcome.awards if award.organisation_id is not None]
    return site.render(
        "result.html",
        room=room,
        result=outcome,
        names=parties.organisation_names(session, known),
        view=view,
        papers=sales.papers_of(session, outcome, actor=actor, at=http.at()),
    )
