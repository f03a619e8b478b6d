"""Routes of webhooks: endpoints of one's organisation, what was sent to them, sending again."""

import uuid
from typing import Any

from marketplace import http
from marketplace.actor import Role
from marketplace.db import Page
from marketplace.fields import PageArgs, ReasonIn, page_of
from marketplace.policies import allow, reads
from marketplace.runtime import current
from marketplace.webhooks import schemas, service
from marketplace.webhooks.models import WebhookEndpoint, WebhookMessage

blueprint = http.Blueprint("webhooks", description="Who is told by itself?")

_MANAGERS = (Role.SELLER_MANAGER, Role.BUYER_BIDDER, Role.VALUER_APPRAISER)
_MANAGE = allow(Role.OPERATOR_ADMIN, *_MANAGERS)


@blueprint.post("/webhook-endpoints", policy=_MANAGE)
@blueprint.arguments(schemas.WebhookEndpointIn)
@blueprint.response(201, schemas.NewWebhookEndpointOut)
def create_webhook_endpoint(data: dict[str, Any]) -> service.NewEndpoint:
    """Register an address that is told of events; its signing secret is shown in this answer only."""
    running = current()
    return service.create_endpoint(
        http.session(),
        **data,
        allow_private=running.settings.webhooks_to_private,
        vault=running.vault,
        actor=http.actor(),
        at=http.at(),
    )


@blueprint.get("/webhook-endpoints", policy=reads(*_MANAGERS))
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.WebhookEndpointOut))
def list_webhook_endpoints(page: dict[str, Any]) -> Page[WebhookEndpoint]:
    """List the endpoints of one's organisation, without their secrets."""
    return service.list_endpoints(http.session(), **page, actor=http.actor())


def _move(endpoint_id: uuid.UUID, verb: str, reason: str = "") -> WebhookEndpoint:
    return service.move_endpoint(
        http.session(), endpoint_id=endpoint_id, verb=verb, reason=reason, actor=http.actor(), at=http.at()
    )


@blueprint.post("/webhook-endpoints/<uuid:endpoint_id>/disable", policy=_MANAGE)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.WebhookEndpointOut)
def disable_webhook_endpoint(data: dict[str, Any], endpoint_id: uuid.UUID) -> WebhookEndpoint:
    """Stop telling an endpoint."""
    return _move(endpoint_id, "disable", **data)


@blueprint.post("/webhook-endpoints/<uuid:endpoint_id>/enable", policy=_MANAGE)
@blueprint.response(200, schemas.WebhookEndpointOut)
def enable_webhook_endpoint(endpoint_id: uuid.UUID) -> WebhookEndpoint:
    """Tell an endpoint again; what waited meanwhile goes out."""
    return _move(endpoint_id, "enable")


@blueprint.get("/webhook-endpoints/<uuid:endpoint_id>/messages", policy=reads(*_MANAGERS))
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.WebhookMessageOut))
def list_webhook_messages(page: dict[str, Any], endpoint_id: uuid.UUID) -> Page[WebhookMessage]:
    """List what was or will be sent to an endpoint, newest first."""
    return service.list_messages(http.session(), endpoint_id=endpoint_id, **page, actor=http.actor())


@blueprint.get("/webhook-messages/<uuid:message_id>", policy=reads(*_MANAGERS))
@blueprint.response(200, schemas.WebhookMessageFileOut)
def show_webhook_message(message_id: uuid.UUID) -> service.MessageFile:
    """Show a message with every attempt to deliver it."""
    return service.get_message(http.session(), message_id, actor=http.actor())


@blueprint.post("/webhook-messages/<uuid:message_id>/send-again", policy=_MANAGE, idempotent=True)
@blueprint.response(200, schemas.WebhookMessageFileOut)
def send_webhook_again(message_id: uuid.UUID) -> service.MessageFile:
    """Send a message once more, under the same id."""
    return service.send_again(http.session(), message_id=message_id, actor=http.actor(), at=http.at())
