"""The ceremony of sealed bids: a holder collects its share once, and gives it back after the end; two open the bids."""

import uuid
from typing import Any, Final

from flask import request

from auctions import service as auctions
from console import deeds, offers, site
from console.language import mark
from console.site import pages
from marketplace import http, policies, runtime
from marketplace.actor import Actor, Role
from marketplace.errors import Failure, Invalid

_KEEPERS: Final = frozenset({Role.SELLER_MANAGER, Role.OPERATOR_ADMIN, Role.OPERATOR_COMPLIANCE, Role.AUDITOR})

_DONE: Final = {
    "submit": mark("Your share is given. The second one opens the bids."),
    "renew": mark("There is a new key. Every old share is worthless: all three collect anew."),
}


@pages.route("/auctions/<uuid:auction_id>/sealing", policy=policies.signed_in())
def sealing(auction_id: uuid.UUID) -> Any:
    """Show who holds shares of a sealed auction, and what its reader can do now."""
    return _page(auction_id)


@pages.route(
    "/auctions/<uuid:auction_id>/sealing",
    methods=["POST"],
    endpoint="hold_ceremony",
    policy=policies.signed_in(),
    max_bytes=deeds.FORM_BYTES_MAX,
)
def hold_ceremony(auction_id: uuid.UUID) -> Any:
    """Collect, give back or renew, as the form's button says; whose share it is the service knows."""
    deed = request.form.get("deed", "")
    if deed not in _DEEDS:
        raise Invalid(f"There is no deed {deed[:20]!r}; there are {', '.join(_DEEDS)}.")
    given: list[Any] = []
    failure = deeds.attempt(lambda: given.append(_DEEDS[deed](auction_id)))
    if failure is not None:
        return _page(auction_id, failure=failure)
    if deed == "collect":
        return _page(auction_id, share=given[0].share)
    return deeds.done("console.sealing", deed, auction_id=auction_id)


def _collect(auction_id: uuid.UUID) -> Any:
    return auctions.collect_share(http.session(), auction_id=auction_id, **_who())


def _submit(auction_id: uuid.UUID) -> Any:
    share = deeds.text("share", maximum=400)
    return auctions.submit_share(http.session(), auction_id=auction_id, share=share, **_who())


def _renew(auction_id: uuid.UUID) -> Any:
    return auctions.renew_sealing(http.session(), auction_id=auction_id, reason=deeds.text("reason"), **_who())


def _who() -> dict[str, Any]:
    return {"vault": runtime.current().vault, "actor": http.actor(), "at": http.at()}


_DEEDS: Final = {"collect": _collect, "submit": _submit, "renew": _renew}


def _page(auction_id: uuid.UUID, *, failure: Failure | None = None, share: str | None = None) -> Any:
    session, actor = http.session(), http.actor()
    seal = auctions.view_sealing(session, auction_id=auction_id)
    view = auctions.view_auction(session, auction_id, actor=actor)
    listing = auctions.get_listing(session, view.listing_id, actor=actor)
    place = _place(seal, listing, actor)
    return site.render(
        "ceremony.html",
        status=200 if failure is None else failure.status,
        title=offers.title_of(listing),
        view=view,
        seal=seal,
        place=place,
        share=share,
        before=view.server_time < view.opens_at,
        over=view.server_time >= view.ends_at,
        may_renew=place is not None and Role.AUDITOR not in actor.roles,
        failure=failure,
        advice=failure and deeds.advice(failure),
        done=_DONE.get(request.args.get("done", "")) if failure is None else None,
    )


def _place(seal: auctions.SealingView, listing: auctions.Listing, actor: Actor) -> Any:
    """Return the share that the reader's organisation holds, None for others; the service decides, this only shows."""
    kind = actor.organisation_kind.value
    if not _KEEPERS & actor.roles or (kind == "seller" and listing.seller_organisation_id != actor.organisation_id):
        return None
    return next((place for place in seal.shares if place.holder.value == kind), None)
