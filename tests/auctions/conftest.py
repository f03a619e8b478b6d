"""A stage for auctions: a frozen package that could be listed, and PostgreSQL's auction clock set to the test's clock.

Appraisal and room belong to other packages and have tests of their own; here their doors are answered by `Stage`.
"""

import types
import uuid
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from auctions import service, signing
from due_diligence import models as rooms
from due_diligence import service as due_diligence
from due_diligence.domain.rooms import GrantBasis, GrantState, RoomAccess, RoomState
from marketplace import db, runtime
from marketplace.actor import SYSTEM
from marketplace.clock import format_instant
from marketplace.packages.domain.package import PackageState
from marketplace.packages.models import Package, PackageCase
from valuation import service as valuation

OPENS = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ENDS = OPENS + timedelta(hours=1)

HEADER = {
    "currency": "CNY", "cut_off_on": "2026-01-31", "principal": "900000.00", "interest": "100000.00",
    "principal_and_interest": "1000000.00", "other": "0.00", "loans": 10, "borrowers": 9,
    "weighted_days_past_due": "400.00", "weighted_age": None, "weighted_credit_limit": None,
    "max_per_borrower": "200000.00", "mean_per_borrower": "111111.11", "grades": {}, "written_off": {},
    "securities": {}, "litigations": {}, "remark": "",
}  # fmt: skip


def cny(amount):
    return {"amount": amount, "currency": "CNY"}


def terms(**more):
    return {
        "title_zh": "东海银行个人消费贷款资产包", "title_en": "Consumer loans of Donghai Bank", "description": "十笔",
        "start_price": cny("100000.00"), "reserve_price": cny("120000.00"),
        "increment": {"kind": "fixed", "amount": "5000"}, "deposit": cny("20000.00"),
        "registration_closes_at": format_instant(OPENS), "opens_at": format_instant(OPENS),
        "ends_at": format_instant(ENDS),
    } | more  # fmt: skip


@dataclass
class Stage:
    """Everything that a test of auctions plays on."""

    api: Any
    people: Any
    clock: Any
    sessions: Any
    room: Any = field(default_factory=lambda: types.SimpleNamespace(id=None, state="open"))
    appraised: bool = True
    packages: list[Any] = field(default_factory=list)

    def at(self, moment):
        """Set both clocks: that of the process and PostgreSQL's clock of auctions."""
        self.clock.at = moment
        literal = moment.isoformat()
        with self.sessions.begin() as session:
            session.execute(
                text(
                    "CREATE OR REPLACE FUNCTION auction_time() RETURNS timestamptz LANGUAGE sql VOLATILE AS "
                    f"$$ SELECT timestamptz '{literal}' $$"
                )
            )

    def package(self, state=PackageState.FROZEN, header=HEADER):
        with self.sessions.begin() as session:
            row = Package(
                organisation_id=self.people.seller.organisation_id, name="资产包一", currency="CNY", criteria={},
                state=state, cut_off_on=date(2026, 1, 31), frozen_at=self.clock.now(), header=header,
                created_at=self.clock.now(),
            )  # fmt: skip
            session.add(row)
            session.flush()
            self._admit(session, row)
        self.packages.append(row.id)
        return row.id

    def _admit(self, session, package):
        """A room of the package in which every buyer has accepted the agreement."""
        at, seller = self.clock.now(), package.organisation_id
        room = rooms.Room(
            package_id=package.id, organisation_id=seller, access=RoomAccess.INVITED, state=RoomState.OPEN,
            created_at=at,
        )  # fmt: skip
        session.add(room)
        session.flush()
        text_of = rooms.AgreementVersion(
            room_id=room.id, number=1, text_zh="保密", text_en="secret", sha256="0" * 64, created_at=at
        )
        session.add(text_of)
        for who in (self.people.buyer, self.people.other_buyer, self.people.third_buyer):
            grant = rooms.Grant(
                room_id=room.id, organisation_id=who.organisation_id, basis=GrantBasis.INVITATION,
                state=GrantState.LIVE, created_at=at,
            )  # fmt: skip
            session.add(grant)
            session.flush()
            session.add(
                rooms.AgreementAcceptance(
                    grant_id=grant.id, agreement_version_id=text_of.id, sha256="0" * 64, at=at,
                    organisation_id=who.organisation_id, user_id=who.user_id, user_name="x",
                )
            )  # fmt: skip

    def agree(self, agreed):
        """Every buyer's access to every room holds, or is taken back."""
        with self.sessions.begin() as session:
            session.execute(text("UPDATE grants SET state = :state"), {"state": "live" if agreed else "revoked"})

    def draft(self, **more):
        body = {"package_id": str(self.package())} | terms(**more)
        return self.api.as_(self.people.seller).ok("POST", "/listings", 201, json=body)

    def cut(self, listing):
        """Put one frozen case into each lot of a package listing."""
        lots = [{"lot": lot["lot"], "case_keys": [lot["lot"]]} for lot in listing["format_terms"]["lots"]]
        with self.sessions.begin() as session:
            session.execute(text("SET LOCAL session_replication_role = replica"))
            for lot in lots:
                session.add(
                    PackageCase(
                        package_id=uuid.UUID(listing["package_id"]), case_id=db.new_id(), case_key=lot["lot"],
                        customer_type="company", currency="CNY", principal_minor=100, interest_minor=0, other_minor=0,
                        days_past_due=0, as_of_on=date(2026, 1, 31), litigation="none", written_off=False,
                        security="unsecured", borrower_fingerprint=bytes(32), borrower_masked_name="x",
                        guaranteed=False,
                    )
                )  # fmt: skip
        client = self.api.as_(self.people.seller)
        version = client.get(f"/listings/{listing['id']}").headers["ETag"]
        return client.ok("POST", f"/listings/{listing['id']}/lots", json={"lots": lots}, headers={"If-Match": version})

    def publish(self, **more):
        """A published listing whose auction takes attempts as fast as they come."""
        draft = self.draft(**more)
        shown = self.api.as_(self.people.seller).ok("POST", f"/listings/{draft['id']}/publish")
        with self.sessions.begin() as session:
            session.execute(text("UPDATE auctions SET attempt_interval_seconds = 0"))
        return shown

    def registered(self, listing, who, *, approve=True, cover=True):
        """A registration of `who`, approved and covered on demand."""
        row = self.api.as_(who).ok("POST", f"/listings/{listing['id']}/registrations", 201)
        if approve:
            row = self.api.as_(self.people.compliance).ok("POST", f"/registrations/{row['id']}/approve")
        if cover:
            self.cover(row["id"])
        return row

    def cover(self, registration_id):
        with self.sessions.begin() as session:
            service.cover_registration(session, registration_id=registration_id, actor=SYSTEM, at=self.clock.now())

    def bid(self, listing, who, amount, **more):
        path = f"/auctions/{listing['auction_id']}/bids"
        return self.api.as_(who).post(path, json={"amount": cny(amount)}, **more)

    def live(self, *bidders, **more):
        """A published listing with covered bidders, one minute after bidding opened."""
        listing = self.publish(**more)
        for who in bidders:
            self.registered(listing, who)
        self.at(OPENS + timedelta(minutes=1))
        return listing

    def auction(self, listing, who=None):
        return self.api.as_(who or self.people.auditor).ok("GET", f"/auctions/{listing['auction_id']}")


@pytest.fixture
def stage(api, people, clock, sessions, monkeypatch):
    made = Stage(api, people, clock, sessions)
    appraisal = types.SimpleNamespace(value_minor=100_000_00)
    monkeypatch.setattr(valuation, "accepted_appraisal", lambda *_, **__: appraisal if made.appraised else None)
    monkeypatch.setattr(due_diligence, "room_of_package", lambda *_: made.room)
    with sessions.begin() as session:
        signing.ensure_key(session, vault=runtime.current().vault, at=clock.at)
    made.at(clock.at)
    return made
