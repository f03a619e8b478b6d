"""What money hands to the module of settlement (`settlement.tasks`): routes, jobs, the watch over releases."""

from typing import Final

from marketplace.jobs import Work
from marketplace.module import Periodic
from marketplace.outbox import Subscription
from settlement import bank_api, deposit_life, money_api, notice_api, statement_jobs

BLUEPRINTS: Final = (money_api.blueprint, bank_api.blueprint, notice_api.blueprint)
SUBSCRIPTIONS: Final[tuple[Subscription, ...]] = ()
JOBS: Final[dict[str, Work]] = {statement_jobs.IMPORT_JOB: statement_jobs.import_statement}
PERIODIC: Final = (Periodic("settlement.watch_releases", deposit_life.watch, seconds=600),)
