"""What webhooks hand to the doors: routes and the clockwork that sends."""

from datetime import datetime

from sqlalchemy.orm import Session

from marketplace.module import Module, Periodic
from marketplace.runtime import current
from marketplace.webhooks import api, sending


def send_due(session: Session, at: datetime) -> int:
    """Send what is due now; return how many were tried."""
    running = current()
    allowed = running.settings.webhooks_to_private
    return sending.send_due(session, vault=running.vault, allow_private=allowed, at=at)


module = Module(
    name="webhooks",
    blueprints=(api.blueprint,),
    periodic=(Periodic("webhooks.send_due", send_due, seconds=2),),
)
