"""What follows the hammer by itself: deadlines that pass, and conflicts that a change behind an organisation makes."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from auctions import announcing, award_turns, conflicts
from marketplace.module import Periodic
from marketplace.outbox import Subscription
from marketplace.runtime import current


def find_conflicts_again(session: Session, payload: Mapping[str, Any], at: datetime) -> None:
    """`organisation.affiliates_changed`: whoever is registered is held against it anew."""
    organisation_id = uuid.UUID(payload["organisation_id"])
    conflicts.find_again(session, organisation_id=organisation_id, vault=current().vault, at=at)


def find_conflicts_of_names(session: Session, payload: Mapping[str, Any], at: datetime) -> None:
    """`cases.names_fingerprinted`: obligors of old tapes can be met by name now, by whoever is registered already."""
    del payload
    conflicts.find_again(session, organisation_id=None, vault=current().vault, at=at)


SUBSCRIPTIONS: Final = (
    Subscription("cases.names_fingerprinted", find_conflicts_of_names),
    Subscription("organisation.affiliates_changed", find_conflicts_again),
    *announcing.SUBSCRIPTIONS,
)
PERIODIC: Final = (
    Periodic("auctions.fail_overdue", award_turns.fail_overdue, seconds=60),
    Periodic("auctions.announce_progress", announcing.announce_progress, seconds=3),
)
