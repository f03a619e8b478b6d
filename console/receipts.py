"""A bidder's receipts of one auction: its accepted attempts, and whatever receipt it brings, checked in place."""

import uuid
from typing import Any, Final

from flask import request

from auctions import service as auctions
from console import offers, site
from console import sale as sales
from console.language import mark
from console.room import FINAL
from console.site import pages
from marketplace import http, policies
from marketplace.actor import Role, Scope
from marketplace.errors import Invalid

PAGE: Final = 50
FILE_BYTES_MAX: Final = 1024 * 1024

_EMPTY: Final = mark("Choose a file, or paste what you were given.")
_UNREADABLE: Final = mark(
    "This holds no receipt that can be read. Give the whole answer to a bid as it came, or a download of this page."
)

_BIDDERS = policies.reads(Role.BUYER_BIDDER, Role.BUYER_ANALYST)


@pages.route("/auctions/<uuid:auction_id>/receipts", policy=_BIDDERS)
def receipts(auction_id: uuid.UUID) -> Any:
    """List the receipts of one's own attempts, each held against its signature and the log."""
    return _page(auction_id)


@pages.route(
    "/auctions/<uuid:auction_id>/receipts",
    methods=["POST"],
    endpoint="check_receipts",
    policy=policies.signed_in(scope=Scope.READ),
    max_bytes=FILE_BYTES_MAX,
)
def check_receipts(auction_id: uuid.UUID) -> Any:
    """Check the receipts in a file or a text; nothing of them is kept."""
    brought = request.files.get("file")
    content = (brought.read() if brought else b"") or request.form.get("text", "").encode()
    if not content.strip():
        return _page(auction_id, fault=_EMPTY, status=422)
    try:
        checked = auctions.check_receipts(http.session(), auction_id=auction_id, content=content, actor=http.actor())
    except Invalid as failure:
        return _page(auction_id, fault=_UNREADABLE, detail=failure.detail, status=422)
    return _page(auction_id, checked=checked)


def _page(
    auction_id: uuid.UUID,
    *,
    checked: list[auctions.OwnReceipt] | None = None,
    fault: str | None = None,
    detail: str = "",
    status: int = 200,
) -> Any:
    session, actor = http.session(), http.actor()
    view = auctions.view_auction(session, auction_id, actor=actor)
    return site.render(
        "receipts.html",
        status=status,
        title=offers.title_of(auctions.get_listing(session, view.listing_id, actor=actor)),
        view=view,
        own=auctions.list_receipts(
            session, auction_id=auction_id, cursor=request.args.get("cursor"), limit=PAGE, actor=actor
        ),
        is_sealed=sales.sealing_of(session, auction_id) is not None and view.state not in FINAL,
        checked=checked,
        fault=fault,
        detail=detail,
    )
