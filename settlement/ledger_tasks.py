"""What the books hand to the module of settlement (`settlement.tasks`): routes, the nightly close, the daily check."""

from typing import Any, Final

import click

from marketplace.module import Periodic
from marketplace.tasks import run_command
from settlement import client_money, exchange_api, ledger_api, periods

BLUEPRINTS: Final = (ledger_api.blueprint, exchange_api.blueprint)
PERIODIC: Final = (
    Periodic("settlement.close_days", periods.close_due, seconds=600),
    Periodic("settlement.check_client_money", client_money.check_due, seconds=600),
)


@click.group("ledger")
def commands() -> None:
    """Hold the books to what was sealed."""


@commands.command("verify")
def verify() -> None:
    """Recompute the hash of every closed day; leave with code 1 and the first day that differs."""
    found: Any = run_command(lambda session, _: periods.verify(session))
    if not found.agrees:
        raise click.ClickException(f"{found.differs_on}: {found.reason}")
    click.echo(f"{found.days} days, {found.entries} entries agree; head {found.head_day} {found.head_hash}")
