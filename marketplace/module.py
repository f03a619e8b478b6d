"""What a package hands to the doors: routes, subscriptions, jobs, errands, clockwork, commands, as one frozen value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import click
from sqlalchemy.orm import Session

from marketplace.actor import Actor
from marketplace.errands import Kind
from marketplace.jobs import Work
from marketplace.outbox import Subscription


@dataclass(frozen=True, slots=True)
class Periodic:
    """Work of the clock: run about every `seconds`, in its own transaction; it may run late, twice or beside itself."""

    name: str
    run: Callable[[Session, datetime], Any]
    seconds: int


@dataclass(frozen=True, slots=True)
class PeriodicCall:
    """Work of the clock that calls the outside world: no transaction is open, and no row locked, while it waits.

    `claim(session, at)` writes down what is about to be done and returns it, or something empty; after its commit
    `call(claimed)` does it without a session; `record(session, claimed=…, outcome=…, at=…)` writes down what came of
    it. Whoever dies in between leaves a claim that runs out, and the call is made again: the outside is told by its
    key that it is the same one.
    """

    name: str
    claim: Callable[[Session, datetime], Any]
    call: Callable[[Any], Any]
    record: Callable[..., Any]
    seconds: int


Authenticate = Callable[..., Actor | None]
"""authenticate(session, token, *, at): who holds this token now, None when nobody does."""


@dataclass(frozen=True, slots=True)
class Module:
    """One package, as the doors see it. `blueprints` are API routes, `pages` are for people."""

    name: str
    blueprints: tuple[Any, ...] = ()
    pages: tuple[Any, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    jobs: Mapping[str, Work] = field(default_factory=dict)
    errands: Mapping[str, Kind] = field(default_factory=dict)
    periodic: tuple[Periodic | PeriodicCall, ...] = ()
    commands: click.Group | None = None
    authenticate: Authenticate | None = None
    error_page: Callable[[Any], Any] | None = None
