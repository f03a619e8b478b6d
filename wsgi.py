"""The web door: the list of packages, and `create()`, the WSGI application over them (`wsgi:create()`)."""

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from marketplace import runtime, tasks
from marketplace.app import create_app
from marketplace.settings import Settings

if TYPE_CHECKING:
    from flask import Flask

    from marketplace.module import Module

# while the packages are being built: those that are there (becomes plain imports at integration)
_NAMES = [
    "marketplace.api", "marketplace.parties.tasks", "marketplace.cases.tasks", "marketplace.packages.tasks", "collection.tasks",
    "valuation.tasks", "due_diligence.tasks", "auctions.tasks", "settlement.tasks", "console.tasks",
]
_found = []
for _name in _NAMES:
    if (Path(__file__).parent / (_name.replace(".", "/") + ".py")).exists():
        try:
            _found.append(importlib.import_module(_name).module)
        except (ImportError, AttributeError) as error:  # while packages are being built
            print("not yet:", _name, error)
MODULES: "tuple[Module, ...]" = tuple(_found)


def create() -> "Flask":
    """Build the application from the environment."""
    settings = Settings.from_environment(os.environ)
    tasks.make_celery(settings, MODULES)
    return create_app(runtime.build(settings, MODULES, wake=tasks.wake))
