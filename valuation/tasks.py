"""What valuation hands to the doors."""

from marketplace.module import Module
from valuation.api import blueprint

module = Module(name="valuation", blueprints=(blueprint,))
