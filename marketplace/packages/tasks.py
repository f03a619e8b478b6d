"""What the packages hand to the doors: their routes and the freeze of large ones."""

from marketplace.module import Module
from marketplace.packages import api, freeze_jobs

module = Module(name="packages", blueprints=(api.blueprint,), jobs={freeze_jobs.FREEZE_JOB: freeze_jobs.freeze})
