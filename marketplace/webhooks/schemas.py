"""What the routes of webhooks take in and give out."""

import marshmallow as ma

from marketplace.fields import Choice, Count, Id, Instant, Schema, Text
from marketplace.webhooks.domain import EndpointState


class WebhookEndpointIn(Schema):
    """An address and what it is told; without `kinds` everything."""

    url = Text(maximum=2000, required=True)
    kinds = ma.fields.List(Text(maximum=60), load_default=list, validate=ma.validate.Length(max=50))


class WebhookEndpointOut(Schema):
    """An endpoint without its secret."""

    id = Id(required=True)
    url = ma.fields.String(required=True)
    kinds = ma.fields.List(ma.fields.String(), required=True)
    state = Choice(EndpointState, required=True)
    failures = Count(required=True)
    created_at = Instant(required=True)


class NewWebhookEndpointOut(Schema):
    """A new endpoint; the secret is shown this once."""

    endpoint = ma.fields.Nested(WebhookEndpointOut, required=True)
    secret = ma.fields.String(required=True)


class WebhookMessageOut(Schema):
    """A message; `id` is the `webhook-id` that the receiver sees, `body` what was signed."""

    id = Id(required=True)
    endpoint_id = Id(required=True)
    kind = ma.fields.String(required=True)
    body = ma.fields.String(required=True)
    attempts = Count(required=True)
    created_at = Instant(required=True)
    next_attempt_at = Instant(required=True)
    delivered_at = Instant(required=True, allow_none=True)
    given_up_at = Instant(required=True, allow_none=True)


class WebhookAttemptOut(Schema):
    """One attempt."""

    at = Instant(required=True)
    status = Count(required=True, allow_none=True)
    error = ma.fields.String(required=True)
    milliseconds = Count(required=True)


class WebhookMessageFileOut(Schema):
    """A message with every attempt, oldest first."""

    message = ma.fields.Nested(WebhookMessageOut, required=True, attribute="row")
    attempts = ma.fields.List(ma.fields.Nested(WebhookAttemptOut), required=True)
