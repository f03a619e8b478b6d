"""The web door: the list of packages, and `create()`, the WSGI application over them (`wsgi:create()`)."""

import os
from typing import TYPE_CHECKING

import auctions.tasks
import collection.tasks
import console.tasks
import due_diligence.tasks
import marketplace.api
import marketplace.cases.tasks
import marketplace.packages.tasks
import marketplace.parties.tasks
import marketplace.webhooks.tasks
import settlement.tasks
import valuation.tasks
from auctions import signing
from marketplace import runtime, tasks
from marketplace.app import create_app
from marketplace.settings import Settings

if TYPE_CHECKING:
    from flask import Flask

MODULES = (
    marketplace.api.module,
    marketplace.parties.tasks.module,
    marketplace.webhooks.tasks.module,
    marketplace.cases.tasks.module,
    marketplace.packages.tasks.module,
    collection.tasks.module,
    valuation.tasks.module,
    due_diligence.tasks.module,
    auctions.tasks.module,
    settlement.tasks.module,
    console.tasks.module,
)


def create() -> "Flask":
    """Build the application from the environment."""
    settings = Settings.from_environment(os.environ)
    tasks.make_celery(settings, MODULES)
    running = runtime.build(settings, MODULES, wake=tasks.wake)
    signing.make_ready(running)
    return create_app(running)
