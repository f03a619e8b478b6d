"""What the cases hand to the doors: their routes and the import of tapes."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from marketplace.cases import api, service
from marketplace.cases.delivery import IMPORT_JOB
from marketplace.jobs import Progress
from marketplace.module import Module, Periodic
from marketplace.runtime import current


def import_tape(session: Session, arguments: dict[str, Any], progress: Progress, at: datetime) -> dict[str, Any]:
    """Import the tape named in the arguments."""
    running = current()
    tape = service.import_tape(
        session,
        tape_id=uuid.UUID(arguments["tape_id"]),
        store=running.files,
        vault=running.vault,
        progress=progress,
        at=at,
    )
    return {"tape_id": str(tape.id), "state": tape.state.value, "added": tape.added, "updated": tape.updated}


def fingerprint_names(session: Session, at: datetime) -> int:
    """Make some obligors of old tapes known by name."""
    return service.fingerprint_names(session, vault=current().vault, at=at)


module = Module(
    name="cases",
    blueprints=(api.blueprint,),
    jobs={IMPORT_JOB: import_tape},
    periodic=(Periodic("cases.fingerprint_names", fingerprint_names, seconds=30),),
)
