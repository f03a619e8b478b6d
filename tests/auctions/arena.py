"""Auctions of any format made by hand: rows instead of listings, so that a test is about bidding and nothing else."""

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import null, text

from auctions import bidding, closing, eligibility, opening, signing, steering
from auctions.domain import references, terms
from auctions.domain.canonical import canonical, fingerprint
from auctions.domain.formats import AttemptKind
from auctions.domain.lifecycles import ListingState, RegistrationState
from auctions.lot_models import Lot
from auctions.models import Auction, Listing, Registration
from marketplace.actor import SYSTEM
from marketplace.clock import format_instant
from marketplace.errors import Failure
from marketplace.money import Money
from marketplace.packages.domain.package import PackageState
from marketplace.packages.models import Package

OPENS = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ENDS = OPENS + timedelta(hours=1)
SECOND = timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)


def rules(form="english", **more):
    """Rules of a format with an hour, a start of 100.00 and steps of 10.00, where it has them."""
    known = {
        "ends_at": format_instant(ENDS), "start_price": "100.00", "increment": {"kind": "fixed", "amount": "10.00"},
        "soft_close": {"window_seconds": 300, "extension_seconds": 300},
        "awards": 2, "cycle_seconds": 180, "steps": {"count": 5, "seconds": 60, "drop": "10.00", "pause_seconds": 30},
        "sealed_seconds": 600, "best_bid_seconds": 300, "pause_seconds": 20, "round_seconds": 180,
        "stop_at": format_instant(OPENS + timedelta(hours=8)), "unsold_lots_count": "nothing",
        "lots": [{"lot": "L1", "reserve": "10"}, {"lot": "L2", "reserve": "10"}],
    }  # fmt: skip
    keys = {
        "english": ("ends_at", "start_price", "increment", "soft_close", "awards"),
        "proxy": ("ends_at", "start_price", "increment", "soft_close", "awards"),
        "two_phase": ("ends_at", "start_price", "increment", "cycle_seconds", "awards"),
        "dutch": ("start_price", "steps"),
        "hybrid_dutch": ("start_price", "steps", "sealed_seconds", "best_bid_seconds", "pause_seconds", "awards"),
        "sealed_first_price": ("ends_at", "start_price", "awards"),
        "sealed_second_price": ("ends_at", "start_price", "awards"),
        "package": ("ends_at", "lots", "unsold_lots_count"),
        "gong": ("start_price", "increment", "pause_seconds", "round_seconds", "stop_at", "awards"),
    }[form]
    document = {"format": form, "currency": "CNY", "opens_at": format_instant(OPENS)}
    return document | {key: known[key] for key in keys} | more


@dataclass
class Arena:
    """One auction with its bidders A, B, C, and PostgreSQL's clock of auctions set by hand."""

    people: Any
    clock: Any
    running: Any
    auction_id: uuid.UUID | None = None
    codes: dict[str, str] = field(default_factory=dict)
    registrations: dict[str, uuid.UUID] = field(default_factory=dict)
    shares: list[Any] = field(default_factory=list)

    @property
    def sessions(self):
        return self.running.sessions

    def at(self, moment):
        self.clock.at = moment
        with self.sessions.begin() as session:
            session.execute(
                text(
                    "CREATE OR REPLACE FUNCTION auction_time() RETURNS timestamptz LANGUAGE sql VOLATILE AS "
                    f"$$ SELECT timestamptz '{moment.isoformat()}' $$"
                )
            )

    def open(self, document=None, *, reserve=None, interval=0, confirm=None, bidders="ABC"):
        """Make an auction that has just opened; the same bidders may bid in every auction made."""
        document = document or rules()
        with self.sessions.begin() as session:
            listing = self._listing(session, [row["lot"] for row in document.get("lots", ())])
            auction = Auction(
                listing_id=listing.id, package_id=listing.package_id, currency="CNY",
                rules=canonical(document).decode(), rules_hash=fingerprint(document),
                reserve_minor=reserve, reserve_salt="salt", opens_at=OPENS,
                reserve_commitment=terms.commitment(salt="salt", reserve_minor=reserve, currency="CNY"),
                ends_at=terms.scheduled_end(document), attempt_interval_seconds=interval,
                confirm_above_percent=null() if confirm is None else confirm,
            )  # fmt: skip
            session.add(auction)
            session.flush()
            self.auction_id = auction.id
            for number, name in enumerate(bidders):
                self._register(session, listing, name, number)
        self.at(OPENS)
        return self

    def _listing(self, session, lots):
        package = Package(
            organisation_id=self.people.seller.organisation_id, name="资产包", currency="CNY", criteria={},
            state=PackageState.LISTED, cut_off_on=date(2026, 1, 31), frozen_at=OPENS, created_at=OPENS,
        )  # fmt: skip
        session.add(package)
        session.flush()
        listing = Listing(
            package_id=package.id, seller_organisation_id=package.organisation_id, state=ListingState.DRAFT,
            currency="CNY", title_zh="包", start_price_minor=10_000, increment={"kind": "fixed", "amount": "10.00"},
            deposit_minor=0, registration_closes_at=OPENS, opens_at=OPENS, ends_at=ENDS, created_at=OPENS,
        )  # fmt: skip
        session.add(listing)
        session.flush()
        for position, name in enumerate(lots, 1):
            session.add(
                Lot(
                    listing_id=listing.id,
                    name=name,
                    package_id=package.id,
                    position=position,
                    chosen={},
                    currency="CNY",
                    loans=0,
                    borrowers=0,
                    persons=0,
                    principal_minor=0,
                    interest_minor=0,
                    other_minor=0,
                    cases_hash="sha256:" + "0" * 64,
                )
            )
        session.flush()
        listing.state, listing.published_at = ListingState.PUBLISHED, OPENS
        session.flush()
        return listing

    def person(self, name):
        return {"A": self.people.buyer, "B": self.people.other_buyer, "C": self.people.third_buyer}[name]

    def _register(self, session, listing, name, number):
        row = Registration(
            listing_id=listing.id, organisation_id=self.person(name).organisation_id, state=RegistrationState.APPROVED,
            bidder_code=f"B-{1001 + number}", reference=references.make_reference(uuid.uuid4().int % 10**9),
            deposit_minor=0, currency="CNY", applied_at=OPENS, decided_at=OPENS, covered_at=OPENS,
        )  # fmt: skip
        session.add(row)
        session.flush()
        self.codes[row.bidder_code] = name
        self.registrations[name] = row.id

    def seal(self):
        """Make the sealing key and give its shares to their holders, as before bidding opens."""
        with self.sessions.begin() as session:
            opening.prepare(session, auction_id=self.auction_id, lots=["L1", "L2"], vault=self.running.vault, at=OPENS)
        self.at(OPENS - SECOND)
        self.shares = [
            (who.actor, self._share(opening.collect_share, who.actor).share)
            for who in (self.people.seller, self.people.admin, self.people.auditor)
        ]
        self.at(OPENS)

    def unseal(self):
        """Two holders give their shares back."""
        for actor, share in self.shares[1:]:
            self._share(opening.submit_share, actor, share=share)

    def _share(self, deed, actor, **more):
        with self.sessions.begin() as session:
            vault = self.running.vault
            return deed(session, auction_id=self.auction_id, vault=vault, actor=actor, at=self.clock.now(), **more)

    def attempt(self, name, amount=None, kind="bid", *, key=None, lots=(), confirmed=False):
        return bidding.Attempt(
            self.person(name).actor, key or uuid.uuid4().hex, AttemptKind(kind),
            None if amount is None else Money(amount * 100, "CNY"), tuple(lots), confirmed,
        )  # fmt: skip

    def batch(self, *attempts):
        with self.sessions.begin() as session:
            return bidding.decide_batch(session, auction_id=self.auction_id, attempts=attempts)

    def bid(self, name, amount=None, kind="bid", **more):
        """One attempt: its sequence, or the code of its refusal."""
        answer = self.batch(self.attempt(name, amount, kind, **more))[0]
        return answer.code if isinstance(answer, Failure) else answer.sequence

    def steer(self, deed, **more):
        act = {"suspend": steering.suspend_auction, "resume": steering.resume_auction, "void": steering.void_bidder}
        if "name" in more:
            more["registration_id"] = self.registrations[more.pop("name")]
        with self.sessions.begin() as session:
            return act[deed](
                session, auction_id=self.auction_id, reason="x", vault=self.running.vault, actor=SYSTEM,
                at=self.clock.now(), **more,
            )  # fmt: skip

    def row(self):
        with self.sessions() as session:
            return session.get_one(Auction, self.auction_id)

    def standing(self):
        """Leader by name, price in whole units, end."""
        row = self.row()
        names = {registration: name for name, registration in self.registrations.items()}
        leader = names.get(row.leader_registration_id)
        return leader, row.price_minor and row.price_minor // 100, row.ends_at

    def log(self):
        with self.sessions() as session:
            return session.execute(
                text("SELECT * FROM auction_events WHERE auction_id = :id ORDER BY number"), {"id": self.auction_id}
            ).all()

    def close(self):
        with self.sessions.begin() as session:
            return closing.close_due(session, self.clock.now())

    def result(self):
        """The outcome, the price in whole units, and the awards as (bidder, price, state)."""
        with self.sessions() as session:
            shown = closing.result(session, auction_id=self.auction_id, actor=self.people.auditor.actor)
        awards = [(self.codes[one.bidder], one.row.price_minor // 100, one.row.state.value) for one in shown.awards]
        return shown.outcome.value, shown.price and shown.price.minor // 100, awards


@pytest.fixture
def arena(people, clock, running, monkeypatch):
    """An arena without an auction; whoever is registered may bid."""
    monkeypatch.setattr(eligibility, "_barred", lambda _: None)
    with running.sessions.begin() as session:
        signing.ensure_key(session, vault=running.vault, at=clock.at)
    return Arena(people, clock, running)


def parsed(entry):
    return json.loads(entry.receipt)
