"""What a running process holds: connections and configuration, never truth. Installed once by a door."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from marketplace import db, outbox
from marketplace.clock import Clock, SystemClock
from marketplace.crypto import Vault
from marketplace.errands import Kind
from marketplace.files import FileStore
from marketplace.jobs import Work
from marketplace.module import Module, Periodic, PeriodicCall
from marketplace.outbox import Subscription
from marketplace.settings import Settings


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything a process needs beside the session it is given."""

    settings: Settings
    engine: Engine
    sessions: sessionmaker[Session]
    files: FileStore
    vault: Vault
    clock: Clock
    modules: tuple[Module, ...]
    wake: Callable[[], None] = field(default=lambda: None)
    """Tells a worker that there is work; losing the call costs a second, never the work."""

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """Every subscription of every module."""
        return tuple(subscription for module in self.modules for subscription in module.subscriptions)

    @property
    def works(self) -> dict[str, Work]:
        """Every kind of job by name."""
        return {name: work for module in self.modules for name, work in module.jobs.items()}

    @property
    def errands(self) -> dict[str, Kind]:
        """Every kind of errand by name."""
        return {name: kind for module in self.modules for name, kind in module.errands.items()}

    @property
    def periodic(self) -> dict[str, Periodic | PeriodicCall]:
        """All clockwork by name."""
        return {periodic.name: periodic for module in self.modules for periodic in module.periodic}


_installed: list[Runtime] = []


def build(
    settings: Settings,
    modules: tuple[Module, ...],
    *,
    clock: Clock | None = None,
    wake: Callable[[], None] = lambda: None,
    ping: bool = True,
) -> Runtime:
    """Connect to what the settings name; `ping` as `db.make_engine` has it."""
    engine = db.make_engine(settings, ping=ping)
    sessions = db.make_sessions(engine)
    runtime = Runtime(
        settings=settings,
        engine=engine,
        sessions=sessions,
        files=FileStore.of(settings),
        vault=Vault.of(settings),
        clock=clock or SystemClock(),
        modules=modules,
        wake=wake,
    )
    outbox.bind(sessions, runtime.subscriptions)
    return runtime


def install(runtime: Runtime) -> None:
    """Make this the runtime of the process."""
    _installed[:] = [runtime]


def current() -> Runtime:
    """Return the runtime of the process; a door has installed it."""
    return _installed[0]
