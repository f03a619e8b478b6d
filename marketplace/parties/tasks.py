"""What the parties hand to the doors: routes, the answer to "who is this?", clockwork, and the first operator."""

from datetime import datetime

import click
from sqlalchemy.orm import Session

from marketplace.module import Module, Periodic
from marketplace.parties import api, service
from marketplace.tasks import run_command


@click.group("parties")
def commands() -> None:
    """Who takes part."""


@commands.command("create-operator")
@click.option("--login", required=True)
@click.option("--name", required=True, help="The person's name.")
@click.option(
    "--password",
    envvar="OPERATOR_PASSWORD",
    prompt=True,
    hide_input=True,
    confirmation_prompt=True,
    help="Asked for when left out.",
)
def create_operator(login: str, name: str, password: str) -> None:
    """Create the operator's organisation and its first admin, once; a second time changes nothing."""

    def create(session: Session, at: datetime) -> str:
        if service.operator_exists(session):
            return "The market's operator exists; nothing was changed."
        user = service.create_first_operator(session, login=login, password=password, name=name, at=at)
        return f"{user.login} may sign in."

    click.echo(run_command(create))


module = Module(
    name="parties",
    blueprints=(api.blueprint,),
    periodic=(Periodic("parties.forget", service.forget, seconds=3600),),
    commands=commands,
    authenticate=service.authenticate,
)
