"""What due diligence hands to the doors: routes and the job that reads documents."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from due_diligence import api, documents, service
from marketplace import runtime
from marketplace.jobs import Progress
from marketplace.module import Module


def read_document(session: Session, arguments: dict[str, Any], progress: Progress, at: datetime) -> dict[str, Any]:
    """Read an uploaded version in a child process and keep verdict and text."""
    progress(0, 1, "document")
    reading = service.read_version(
        session, version_id=uuid.UUID(arguments["version_id"]), store=runtime.current().files, at=at
    )
    progress(1, 1, "document")
    sentence = reading.sentence
    return {"verdict": reading.verdict.value, "pages": reading.pages, "zh": sentence.zh, "en": sentence.en}


module = Module(name="due_diligence", blueprints=(api.blueprint,), jobs={documents.JOB: read_document})
