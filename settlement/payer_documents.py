"""Documents that say why the payment of a third party counts: kept by finance, read by whoever decides.

The decision is a match proposal (`settlement.deciding`); the other way out is the refund of the line.
"""

import uuid
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from marketplace import audit, files
from marketplace.actor import Actor
from marketplace.errors import Invalid, NotFound
from marketplace.files import FileStore, StoredFile
from settlement import matches
from settlement.bank_models import MatchProposal

MAX_BYTES: Final = 10 * 1024 * 1024

_SIGNATURES: Final = {
    b"%PDF-": "application/pdf",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
}


class DocumentUnknown(Invalid):
    """The document is of no kind that people can look at here."""

    code = "document_unknown"

    def __init__(self) -> None:
        super().__init__("The document is a PDF, a PNG or a JPEG, told by its first bytes.")


def media_type_of(content: bytes) -> str:
    """Return what a document is by its first bytes; raise `DocumentUnknown`."""
    found = next((kind for start, kind in _SIGNATURES.items() if content.startswith(start)), None)
    if found is None:
        raise DocumentUnknown
    return found


def keep_document(
    session: Session, *, store: FileStore, line_id: uuid.UUID, content: bytes, name: str, actor: Actor, at: datetime
) -> StoredFile:
    """Keep a document about whoever paid a line; raise `NotFound`, `DocumentUnknown`."""
    line = matches.require_line(session, line_id)
    media_type = media_type_of(content)
    row = files.store(session, store, content=content, name=name, media_type=media_type, actor=actor, at=at)
    audit.record(session, actor=actor, at=at, subject=line, verb="document", after={"sha256": row.sha256})
    return row


def document_of(session: Session, *, proposal_id: uuid.UUID) -> StoredFile:
    """Return the document of a proposal; raise `NotFound`."""
    proposal = session.get(MatchProposal, proposal_id)
    if proposal is None or proposal.document_id is None:
        raise NotFound("document of match proposal", proposal_id)
    return session.get_one(StoredFile, proposal.document_id)
