"""What money hands to the module of settlement (`settlement.tasks`): routes; nothing of it waits for a clock."""

from typing import Final

from marketplace.jobs import Work
from marketplace.module import Periodic
from marketplace.outbox import Subscription
from settlement import ledger_api, money_api

BLUEPRINTS: Final = (money_api.blueprint, ledger_api.blueprint)
SUBSCRIPTIONS: Final[tuple[Subscription, ...]] = ()
JOBS: Final[dict[str, Work]] = {}
PERIODIC: Final[tuple[Periodic, ...]] = ()
