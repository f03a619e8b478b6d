"""Routes of defaults: what one would cost, a late balance, forfeited deposits and what they are used for."""

import uuid
from typing import Any

from marketplace import http
from marketplace.actor import Role, Scope
from marketplace.db import Page
from marketplace.fields import PageArgs, ReasonIn, page_of
from marketplace.policies import allow, reads, signed_in
from settlement import deals, default_policies, default_schemas, defaults, forfeitures
from settlement.deal_schemas import DealOut
from settlement.deals import DealView
from settlement.default_models import DefaultPolicy, Forfeiture

blueprint = http.Blueprint("defaults", description="What if the winner does not keep its word?")

_PARTIES = reads(Role.SELLER_MANAGER, Role.SELLER_AGENT, Role.BUYER_BIDDER, Role.BUYER_ANALYST)


@blueprint.get("/deals/<uuid:deal_id>/default-preview", policy=reads())
@blueprint.response(200, default_schemas.DefaultPreviewOut)
def preview_default(deal_id: uuid.UUID) -> defaults.DefaultPreview:
    """Show what would happen if the buyer of a deal defaulted now; nothing is written."""
    return defaults.preview_default(http.session(), deal_id=deal_id, actor=http.actor())


@blueprint.post("/deals/<uuid:deal_id>/fail-overdue", policy=allow(Role.OPERATOR_FINANCE), idempotent=True)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, DealOut)
def fail_overdue_deal(data: dict[str, Any], deal_id: uuid.UUID) -> DealView:
    """Let the award of a deal fail because its balance is late; deposit and runner-up follow by themselves."""
    session = http.session()
    row = defaults.fail_overdue_deal(session, deal_id=deal_id, **data, actor=http.actor(), at=http.at())
    return deals.with_names(session, [row])[0]


@blueprint.get("/forfeitures", policy=_PARTIES)
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(default_schemas.ForfeitureOut))
def list_forfeitures(page: dict[str, Any]) -> Page[Forfeiture]:
    """List forfeited deposits, newest first: one's own, and those that one's own sales brought."""
    return forfeitures.list_forfeitures(http.session(), **page, actor=http.actor())


@blueprint.post(
    "/forfeitures/<uuid:forfeiture_id>/preview",
    policy=allow(Role.OPERATOR_FINANCE, Role.OPERATOR_ADMIN, Role.SELLER_MANAGER, Role.BUYER_BIDDER, scope=Scope.READ),
)
@blueprint.arguments(default_schemas.ForfeitureAskIn)
@blueprint.response(200, default_schemas.ForfeiturePreviewOut)
def preview_forfeiture(data: dict[str, Any], forfeiture_id: uuid.UUID) -> forfeitures.ForfeiturePreview:
    """Show what a forfeited deposit will be used for, or was; nothing is written."""
    return forfeitures.preview(http.session(), forfeiture_id=forfeiture_id, **data, actor=http.actor())


@blueprint.post("/forfeitures/<uuid:forfeiture_id>/settle", policy=allow(Role.OPERATOR_FINANCE), idempotent=True)
@blueprint.arguments(default_schemas.ForfeitureIn)
@blueprint.response(200, default_schemas.ForfeiturePreviewOut)
def settle_forfeiture(data: dict[str, Any], forfeiture_id: uuid.UUID) -> forfeitures.ForfeiturePreview:
    """Post what a forfeited deposit is used for, once; payments to the seller or the buyer are proposed."""
    return forfeitures.settle(http.session(), forfeiture_id=forfeiture_id, **data, actor=http.actor(), at=http.at())


@blueprint.get("/default-policies", policy=signed_in())
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(default_schemas.DefaultPolicyOut))
def list_default_policies(page: dict[str, Any]) -> Page[DefaultPolicy]:
    """List what a default costs, by regime and version, newest first."""
    return default_policies.list_policies(http.session(), **page)


@blueprint.post("/default-policies", policy=allow(Role.OPERATOR_ADMIN), idempotent=True)
@blueprint.arguments(default_schemas.DefaultPolicyIn)
@blueprint.response(201, default_schemas.DefaultPolicyOut)
def add_default_policy(data: dict[str, Any]) -> DefaultPolicy:
    """Add the next version for a regime, in force from a later day; awards made before keep theirs."""
    return default_policies.add_policy(http.session(), **data, actor=http.actor(), at=http.at())
