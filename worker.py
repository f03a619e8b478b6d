"""The worker door: the Celery application of an installation (`celery -A worker worker|beat`)."""

import os
from typing import Any

from celery.signals import beat_init, worker_process_init

import wsgi
from auctions import signing
from marketplace import runtime, tasks
from marketplace.settings import Settings

_settings = Settings.from_environment(os.environ)
celery = tasks.make_celery(_settings, wsgi.MODULES)
runtime.install(runtime.build(_settings, wsgi.MODULES, wake=tasks.wake))
signing.make_ready(runtime.current())
_held: list[Any] = []


@beat_init.connect
def _one_beat(**_: Any) -> None:
    _held.append(tasks.hold_beat_lock())


@worker_process_init.connect
def _own_connections(**_: Any) -> None:
    runtime.current().engine.dispose(close=False)
