"""More auctions like the one of `benchmarks.hot_auction`, with the same bidders, and logs as long as wanted.

A log is filled by the engine: every entry is decided, signed and linked as if it had been bid, in batches of thousands.
"""

import asyncio
import base64
import sys
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import create_engine, inspect, select, text
from sqlalchemy.orm import Session

from auctions import bidding, log, plays, signing
from auctions.domain.formats import AttemptKind, Event
from auctions.domain.references import make_reference
from auctions.models import Auction, Listing, Registration
from benchmarks.hot_auction import KEY, STEP, WARMING, Run
from benchmarks.load import Load
from due_diligence.models import AgreementAcceptance, AgreementVersion, Grant, Room
from marketplace.actor import Actor
from marketplace.crypto import Vault
from marketplace.packages.models import Package
from marketplace.parties import service as parties

BATCH: Final = 5_000
Row = TypeVar("Row")


def measure(port: int, path: str, tokens: Sequence[str], seconds: float, first: bytes) -> Run:
    """Put 64 bidding connections on an auction."""
    load = Load(port, path, tokens, seconds, first)
    asyncio.run(load.run())
    ordered = sorted(load.latencies) or [0.0]
    return Run(
        decided=len(ordered) / seconds,
        accepted=load.accepted / seconds,
        p50=ordered[len(ordered) // 2] * 1000,
        p99=ordered[len(ordered) * 99 // 100] * 1000,
        others=load.others,
    )


def warm(port: int, path: str, tokens: Sequence[str], first: bytes) -> None:
    """Let a server do its first work unmeasured."""
    measure(port, path, tokens, WARMING, first)


def auction_of(path: str) -> uuid.UUID:
    """Return the auction that a path of bids belongs to."""
    return uuid.UUID(path.split("/")[4])


def more(url: str, path: str, count: int) -> list[str]:
    """Open so many auctions more, of packages, listings and rooms of their own; return their paths."""
    engine = create_engine(url)
    with Session(engine) as session:
        first = session.get_one(Auction, auction_of(path))
        paths = [_another(session, first, number) for number in range(1, count + 1)]
        session.commit()
    engine.dispose()
    return paths


def _another(session: Session, first: Auction, number: int) -> str:
    package = _copy(session, session.get_one(Package, first.package_id), name=f"hall {number}")
    listing = _copy(session, session.get_one(Listing, first.listing_id), package_id=package.id)
    auction = _copy(session, first, package_id=package.id, listing_id=listing.id)
    opened = session.scalars(select(Room).where(Room.package_id == first.package_id)).one()
    room = _copy(session, opened, package_id=package.id)
    agreed = session.scalars(select(AgreementVersion).where(AgreementVersion.room_id == opened.id)).one()
    agreement = _copy(session, agreed, room_id=room.id)
    for grant in session.scalars(select(Grant).where(Grant.room_id == opened.id)).all():
        given = _copy(session, grant, room_id=room.id)
        query = select(AgreementAcceptance).where(AgreementAcceptance.grant_id == grant.id)
        for acceptance in session.scalars(query).all():
            _copy(session, acceptance, grant_id=given.id, agreement_version_id=agreement.id)
    registrations = select(Registration).where(Registration.listing_id == first.listing_id)
    for place, row in enumerate(session.scalars(registrations).all()):
        _copy(session, row, listing_id=listing.id, reference=make_reference(10_000 + number * 100 + place))
    return f"/api/v1/auctions/{auction.id}/bids"


def _copy(session: Session, row: Row, **changes: Any) -> Row:
    """Add a row like another, with a key of its own."""
    mapper = inspect(type(row))
    keys = {column.key for column in mapper.primary_key}
    values = {one.key: getattr(row, one.key) for one in mapper.column_attrs if one.key not in keys}
    new = type(row)(**(values | changes))
    session.add(new)
    session.flush()
    return new


def fill(url: str, path: str, tokens: Sequence[str], count: int) -> None:
    """Let an auction's log, which is empty, have `count` accepted bids of its bidders in turn."""
    engine, auction_id = create_engine(url), auction_of(path)
    began = time.monotonic()
    with Session(engine) as session:
        bidders = _bidders(session, auction_id, tokens)
        signer = signing.signer(
            session, vault=Vault(base64.b64decode(KEY), base64.b64decode(KEY)), at=datetime.now(UTC)
        )
        for done in range(0, count, BATCH):
            row = bidding.lock_row(session, auction_id)
            live, head, entries = plays.live(row), log.head_of(row), []
            for number in range(done, min(done + BATCH, count)):
                registration, code, actor = bidders[number % len(bidders)]
                amount = live.play.standing(row.opens_at).minimum_next or STEP
                at = row.opens_at + timedelta(milliseconds=number * 50_000 // count)
                event = Event(at, AttemptKind.BID, code, amount)
                answer = live.step(event)
                deed = log.Deed(event, registration, actor, log.key_digest(f"fill-{number}"))
                entries.append(log.append(head, deed, answer, live.play.standing(at), key_id=signer.key_id))
            standing, play = live.play.standing(at), live.text(at)
            log.write(session, head=head, entries=entries, standing=standing, play=play, signer=signer)
            session.commit()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE auction_events"))
    engine.dispose()
    print(f"  filled {count:,} entries in {time.monotonic() - began:.0f} s", file=sys.stderr)


def _bidders(session: Session, auction_id: uuid.UUID, tokens: Sequence[str]) -> list[tuple[uuid.UUID, str, Actor]]:
    actors = parties.authenticate_all(session, set(tokens), at=datetime.now(UTC)).values()
    listing_id = session.get_one(Auction, auction_id).listing_id
    rows = session.scalars(select(Registration).where(Registration.listing_id == listing_id)).all()
    of = {row.organisation_id: row for row in rows}
    return [(of[one.organisation_id].id, of[one.organisation_id].bidder_code, one) for one in actors]
