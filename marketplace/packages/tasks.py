"""What the packages hand to the doors: their routes."""

from marketplace.module import Module
from marketplace.packages import api

module = Module(name="packages", blueprints=(api.blueprint,))
