"""What webhooks hand to the doors: routes and the clockwork that sends."""

from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from marketplace.module import Module, PeriodicCall
from marketplace.runtime import current
from marketplace.webhooks import api, sending
from marketplace.webhooks.sending import Call


def claim_due(session: Session, at: datetime) -> list[Call]:
    """Claim what is due now."""
    running = current()
    allowed = running.settings.webhooks_to_private
    return sending.claim_due(session, vault=running.vault, allow_private=allowed, at=at)


SEND_DUE: Final = PeriodicCall("webhooks.send_due", claim_due, sending.make_calls, sending.record_outcomes, seconds=2)

module = Module(name="webhooks", blueprints=(api.blueprint,), periodic=(SEND_DUE,))
