"""What collection hands to the doors."""

from collection import classifying
from collection.api import blueprint
from marketplace.module import Module

module = Module(name="collection", blueprints=(blueprint,), jobs={classifying.CLASSIFY_JOB: classifying.classify})
