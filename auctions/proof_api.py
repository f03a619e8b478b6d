"""Routes of proofs: signing keys, the ceremony of sealed bids, protocol and bundle of a closed auction."""

import uuid
from typing import Any

import orjson

from auctions import evidence, opening, own_receipts, protocol, signing
from auctions import proof_schemas as schemas
from auctions.proof_models import SigningKey
from auctions.protocol import ProtocolLanguage
from marketplace import http
from marketplace.actor import Role, Scope
from marketplace.db import Page
from marketplace.fields import PageArgs, ReasonIn, page_of
from marketplace.policies import allow, public, reads, signed_in
from marketplace.runtime import current

blueprint = http.Blueprint("proofs", description="How can I prove it?")

_HOLDERS = signed_in()
"""Seller, operator and auditor; the service knows whose share it is. An auditor changes nothing but by its share."""

_BIDDERS = reads(Role.BUYER_BIDDER, Role.BUYER_ANALYST)


@blueprint.get("/auction-keys", policy=public())
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.SigningKeyOut))
def list_keys(page: dict[str, Any]) -> Page[SigningKey]:
    """List every key that ever signed receipts, newest first; no credential needed."""
    return signing.list_keys(http.session(), **page)


@blueprint.post("/auction-keys/rotate", policy=allow(Role.OPERATOR_ADMIN), idempotent=True)
@blueprint.arguments(ReasonIn)
@blueprint.response(201, schemas.SigningKeyOut)
def rotate_key(data: dict[str, Any]) -> SigningKey:
    """Make the next signing key; it begins in five minutes, and the present one ends then."""
    return signing.rotate_key(http.session(), **data, vault=current().vault, actor=http.actor(), at=http.at())


@blueprint.get("/auctions/<uuid:auction_id>/sealing", policy=signed_in())
@blueprint.response(200, schemas.SealingOut)
def show_sealing(auction_id: uuid.UUID) -> opening.SealingView:
    """Show how an auction's bids are sealed, who collected a share, and whether they are open."""
    return opening.view_sealing(http.session(), auction_id=auction_id)


@blueprint.post("/auctions/<uuid:auction_id>/sealing/renew", policy=allow(Role.SELLER_MANAGER, Role.OPERATOR_ADMIN))
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.SealingOut)
def renew_sealing(data: dict[str, Any], auction_id: uuid.UUID) -> opening.SealingView:
    """Make key and shares anew before bidding opens, when a share was lost; old shares are worthless."""
    session, vault = http.session(), current().vault
    opening.renew(session, auction_id=auction_id, **data, vault=vault, actor=http.actor(), at=http.at())
    return opening.view_sealing(session, auction_id=auction_id)


@blueprint.post("/auctions/<uuid:auction_id>/shares/collect", policy=_HOLDERS)
@blueprint.response(201, schemas.ShareOut)
def collect_share(auction_id: uuid.UUID) -> opening.CollectedShare:
    """Collect one's share of the sealing key, once, before bidding opens; the answer is kept nowhere."""
    return opening.collect_share(
        http.session(), auction_id=auction_id, vault=current().vault, actor=http.actor(), at=http.at()
    )


@blueprint.post("/auctions/<uuid:auction_id>/shares", policy=_HOLDERS)
@blueprint.arguments(schemas.ShareIn)
@blueprint.response(200, schemas.SealingOut)
def submit_share(data: dict[str, Any], auction_id: uuid.UUID) -> opening.SealingView:
    """Give one's share back at or after the end; the second one opens the bids."""
    return opening.submit_share(
        http.session(), auction_id=auction_id, **data, vault=current().vault, actor=http.actor(), at=http.at()
    )


@blueprint.get("/auctions/<uuid:auction_id>/receipts", policy=_BIDDERS)
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.OwnReceiptOut))
def list_receipts(page: dict[str, Any], auction_id: uuid.UUID) -> Page[own_receipts.OwnReceipt]:
    """List the receipts of one's organisation's accepted attempts, newest first, each checked."""
    return own_receipts.list_receipts(http.session(), auction_id=auction_id, **page, actor=http.actor())


@blueprint.get("/auctions/<uuid:auction_id>/receipts.json", policy=_BIDDERS)
@blueprint.download("application/json")
def download_receipts(auction_id: uuid.UUID) -> Any:
    """Download the receipts of one's organisation with the published keys, to check them elsewhere."""
    content = own_receipts.download(http.session(), auction_id=auction_id, actor=http.actor())
    return http.download(content, name=f"receipts-{auction_id}.json", media_type=own_receipts.MEDIA_TYPE)


@blueprint.post("/auctions/<uuid:auction_id>/receipts/check", policy=signed_in(scope=Scope.READ))
@blueprint.arguments(schemas.ReceiptsIn)
@blueprint.response(200, schemas.CheckedReceiptsOut)
def check_receipts(data: dict[str, Any], auction_id: uuid.UUID) -> dict[str, list[own_receipts.OwnReceipt]]:
    """Hold receipts, accepted or refused, against auction, key, signature and log; writes nothing."""
    content = orjson.dumps(data["receipts"])
    return {
        "items": own_receipts.check_receipts(http.session(), auction_id=auction_id, content=content, actor=http.actor())
    }


@blueprint.get("/auctions/<uuid:auction_id>/bundle", policy=signed_in())
@blueprint.download("application/zip")
def download_bundle(auction_id: uuid.UUID) -> Any:
    """Download the evidence of a closed auction: `python -m auctions verify` checks it offline."""
    content = evidence.make_bundle(http.session(), auction_id=auction_id, vault=current().vault, actor=http.actor())
    return http.download(content, name=f"auction-{auction_id}.zip", media_type="application/zip")


@blueprint.get("/auctions/<uuid:auction_id>/protocol.pdf", policy=signed_in())
@blueprint.arguments(schemas.ProtocolArgs, location="query")
@blueprint.download("application/pdf")
def download_protocol(data: dict[str, ProtocolLanguage], auction_id: uuid.UUID) -> Any:
    """Download the protocol of a closed auction for people, in Chinese or English."""
    content = protocol.make_protocol(
        http.session(), auction_id=auction_id, **data, vault=current().vault, actor=http.actor()
    )
    return http.download(content, name=f"protocol-{auction_id}.pdf", media_type=protocol.MEDIA_TYPE)
