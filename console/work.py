"""Work in the background: how far one job is, drawn again every two seconds until it has ended."""

import uuid
from typing import Any, Final

from console import site
from console.site import pages
from marketplace import http, jobs, policies
from marketplace.jobs import JobOutcome

AGAIN_SECONDS: Final = 2
ENDED: Final = frozenset({JobOutcome.DONE, JobOutcome.FAILED})


@pages.route("/jobs/<uuid:job_id>", policy=policies.signed_in())
def job(job_id: uuid.UUID) -> Any:
    """Show a job of one's organisation: its progress, then its outcome or what to do about its problem."""
    status = jobs.status(http.session(), job_id, actor=http.actor())
    return site.render("job.html", job=status, again=None if status.outcome in ENDED else AGAIN_SECONDS)
