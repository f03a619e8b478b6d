"""Clockwork of proofs: the first signing key, cover for the books of sealed bids, shares that nobody collected."""

from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from auctions import opening, sealed_book, signing
from marketplace.module import Periodic
from marketplace.runtime import current


def keep_signing_key(session: Session, at: datetime) -> None:
    """Make the installation's first key, once."""
    signing.ensure_key(session, vault=current().vault, at=at)


def cover_books(session: Session, at: datetime) -> int:
    """Write books of sealed bids anew at random moments, whether or not there are bids."""
    del at  # the moment is that of PostgreSQL
    return sealed_book.cover(session, vault=current().vault)


def commit_books(session: Session, at: datetime) -> int:
    """Take the books of sealed bids into their published chains at fixed moments, whether or not there are bids."""
    del at  # the moment is that of PostgreSQL
    return sealed_book.commit_due(session, vault=current().vault)


PERIODIC: Final = (
    Periodic("auctions.keep_signing_key", keep_signing_key, seconds=60),
    Periodic("auctions.cover_books", cover_books, seconds=1),
    Periodic("auctions.commit_books", commit_books, seconds=1),
    Periodic("auctions.erase_uncollected", opening.erase_uncollected, seconds=5),
)
