"""Routes of auctions: listings, registrations, bids, results, and the preview that replays a document."""

import uuid
from typing import Any

from flask import request

from auctions import listing_schemas, schemas, service
from auctions.award_schemas import RegistrationIn
from auctions.domain.replay import replay
from marketplace import documents, http
from marketplace.actor import Role, Scope
from marketplace.db import Page
from marketplace.documents import Node
from marketplace.fields import PageArgs, ReasonIn, page_of
from marketplace.policies import allow, reads, signed_in
from marketplace.runtime import current

blueprint = http.Blueprint("auctions", description="Who gets it, at what price?")

PREVIEW_BYTES = 8 * 1024 * 1024

_SELLER = (Role.SELLER_MANAGER, Role.SELLER_AGENT)
_BUYER = (Role.BUYER_BIDDER, Role.BUYER_ANALYST)
_DECIDE = allow(Role.OPERATOR_ADMIN, Role.OPERATOR_COMPLIANCE)


def _shown(listing_id: uuid.UUID) -> Any:
    view = service.show_listing(http.session(), listing_id, actor=http.actor())
    return view, http.etag(view.row.version)


@blueprint.post("/listings", policy=allow(*_SELLER), idempotent=True)
@blueprint.arguments(listing_schemas.ListingIn)
@blueprint.response(201, listing_schemas.ListingOut)
def create_listing(data: dict[str, Any]) -> Any:
    """Begin the announcement of a package."""
    row = service.create_listing(http.session(), **data, actor=http.actor(), at=http.at())
    view, headers = _shown(row.id)
    return view, 201, headers


@blueprint.get("/listings", policy=signed_in())
@blueprint.arguments(listing_schemas.CatalogueArgs, location="query")
@blueprint.response(200, page_of(listing_schemas.TermsOut))
def list_listings(page: dict[str, Any]) -> Page[service.ListingView]:
    """Show the catalogue, newest first, or with `q` what was found, best first."""
    query = page.pop("q")
    if query is not None:
        return service.find_listings(http.session(), query=query, limit=page["limit"], actor=http.actor())
    return service.list_listings(http.session(), **page, actor=http.actor())


@blueprint.get("/listings/<uuid:listing_id>", policy=signed_in())
@blueprint.response(200, listing_schemas.ListingOut)
def show_listing(listing_id: uuid.UUID) -> Any:
    """Show a listing with the header and strata of its package."""
    view, headers = _shown(listing_id)
    return view, 200, headers


@blueprint.patch("/listings/<uuid:listing_id>", policy=allow(*_SELLER))
@blueprint.arguments(listing_schemas.TermsIn)
@blueprint.response(200, listing_schemas.ListingOut)
def edit_listing(data: dict[str, Any], listing_id: uuid.UUID) -> Any:
    """Change terms of a draft, or rectify a published listing in time; send its ETag in If-Match."""
    row = service.lock_listing(http.session(), listing_id, actor=http.actor())
    http.require_match(row.version)
    service.edit_listing(http.session(), listing_id=listing_id, **data, actor=http.actor(), at=http.at())
    view, headers = _shown(listing_id)
    return view, 200, headers


@blueprint.get("/listings/<uuid:listing_id>/readiness", policy=reads(*_SELLER))
@blueprint.response(200, listing_schemas.ReadinessOut)
def show_readiness(listing_id: uuid.UUID) -> service.Readiness:
    """Name everything that stands in the way of publishing, at once."""
    return service.readiness(http.session(), listing_id=listing_id, actor=http.actor(), at=http.at())


@blueprint.post("/listings/<uuid:listing_id>/publish", policy=allow(Role.SELLER_MANAGER))
@blueprint.response(200, listing_schemas.ListingOut)
def publish_listing(listing_id: uuid.UUID) -> Any:
    """Announce the package: its terms are fixed from now on."""
    service.publish_listing(http.session(), listing_id=listing_id, actor=http.actor(), at=http.at())
    view, headers = _shown(listing_id)
    return view, 200, headers


@blueprint.post("/listings/<uuid:listing_id>/withdraw", policy=allow(Role.SELLER_MANAGER, Role.OPERATOR_ADMIN))
@blueprint.arguments(ReasonIn)
@blueprint.response(200, listing_schemas.ListingOut)
def withdraw_listing(data: dict[str, Any], listing_id: uuid.UUID) -> Any:
    """Take a listing back, with a reason."""
    service.withdraw_listing(http.session(), listing_id=listing_id, **data, actor=http.actor(), at=http.at())
    view, headers = _shown(listing_id)
    return view, 200, headers


@blueprint.post("/listings/<uuid:listing_id>/registrations", policy=allow(Role.BUYER_BIDDER), idempotent=True)
@blueprint.arguments(RegistrationIn)
@blueprint.response(201, schemas.RegistrationOut)
def register(data: dict[str, Any], listing_id: uuid.UUID) -> service.RegistrationView:
    """Apply to bid; the answer names the reference under which the deposit is paid. The body may be left out."""
    row = service.register(
        http.session(), listing_id=listing_id, **data, vault=current().vault, actor=http.actor(), at=http.at()
    )
    return service.get_registration(http.session(), row.id, actor=http.actor())


@blueprint.get("/listings/<uuid:listing_id>/registrations", policy=reads(*_SELLER, *_BUYER))
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.RegistrationOut))
def list_registrations_of(page: dict[str, Any], listing_id: uuid.UUID) -> Page[service.RegistrationView]:
    """List registrations: a buyer sees its own, the seller codes only, operator and auditor everything."""
    return service.list_registrations(http.session(), listing_id=listing_id, **page, actor=http.actor())


@blueprint.get("/registrations", policy=reads(*_BUYER))
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.RegistrationOut))
def list_registrations(page: dict[str, Any]) -> Page[service.RegistrationView]:
    """List one's own registrations, newest first; operator and auditor see all."""
    return service.list_registrations(http.session(), listing_id=None, **page, actor=http.actor())


@blueprint.get("/registrations/<uuid:registration_id>", policy=reads(*_BUYER))
@blueprint.response(200, schemas.RegistrationOut)
def show_registration(registration_id: uuid.UUID) -> service.RegistrationView:
    """Show a registration."""
    return service.get_registration(http.session(), registration_id, actor=http.actor())


def _decide(registration_id: uuid.UUID, verb: str, reason: str = "") -> service.RegistrationView:
    service.decide_registration(
        http.session(), registration_id=registration_id, verb=verb, reason=reason, actor=http.actor(), at=http.at()
    )
    return service.get_registration(http.session(), registration_id, actor=http.actor())


@blueprint.post("/registrations/<uuid:registration_id>/approve", policy=_DECIDE)
@blueprint.response(200, schemas.RegistrationOut)
def approve_registration(registration_id: uuid.UUID) -> service.RegistrationView:
    """Find a buyer eligible."""
    return _decide(registration_id, "approve")


@blueprint.post("/registrations/<uuid:registration_id>/refuse", policy=_DECIDE)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.RegistrationOut)
def refuse_registration(data: dict[str, Any], registration_id: uuid.UUID) -> service.RegistrationView:
    """Turn a buyer down, with a reason."""
    return _decide(registration_id, "refuse", **data)


@blueprint.post("/registrations/<uuid:registration_id>/withdraw", policy=allow(Role.BUYER_BIDDER))
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.RegistrationOut)
def withdraw_registration(data: dict[str, Any], registration_id: uuid.UUID) -> service.RegistrationView:
    """Leave a listing, with a reason; the leader of a running auction stays."""
    service.withdraw_registration(
        http.session(), registration_id=registration_id, **data, actor=http.actor(), at=http.at()
    )
    return service.get_registration(http.session(), registration_id, actor=http.actor())


@blueprint.get("/auctions/<uuid:auction_id>/result", policy=signed_in())
@blueprint.response(200, schemas.ResultOut)
def show_result(auction_id: uuid.UUID) -> service.Result:
    """Show how an auction ended."""
    return service.result(http.session(), auction_id=auction_id, actor=http.actor())


@blueprint.get("/auctions/<uuid:auction_id>/log", policy=signed_in())
@blueprint.arguments(schemas.LogArgs, location="query")
@blueprint.response(200, schemas.ReplayFileOut)
def show_log(part: dict[str, Any], auction_id: uuid.UUID) -> dict[str, Any]:
    """Return a closed auction as a replay file: `python -m auctions replay` recomputes it. Long ones in parts."""
    return service.log_page(http.session(), auction_id=auction_id, **part, actor=http.actor())


@blueprint.post("/previews/replay", policy=signed_in(scope=Scope.READ), max_bytes=PREVIEW_BYTES)
@blueprint.doc(
    requestBody={
        "required": True,
        "description": "A replay file: rules, events, as_of.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
)
@blueprint.response(200, schemas.ReplayOut)
def preview_replay() -> dict[str, Any]:
    """Replay a document, as `python -m auctions replay` does."""
    if not request.is_json:
        raise http.UnsupportedMediaType(request.mimetype)
    return replay(Node(documents.parse(request.get_data())))
