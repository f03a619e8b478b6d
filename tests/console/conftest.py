"""A person at the pages, a market with a sale in it, and a real browser in front of a real server."""

import contextlib
import io
import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from conftest import Client
from flask import Flask
from people import People
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.serving import make_server

from auctions import signing
from demo import tape
from marketplace import http, runtime
from marketplace.clock import format_instant

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Visitor:
    """Somebody's browser without scripts: a cookie jar and a language."""

    app: Flask
    token: str | None = None
    language: str = "en"
    client: Any = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.app.test_client()
        if self.token:
            self.client.set_cookie(http.COOKIE, self.token)
        self.client.set_cookie("lang", self.language)

    def get(self, path: str, **more: Any) -> Any:
        return self.client.get(path, **more)

    def post(self, path: str, **more: Any) -> Any:
        return self.client.post(path, **more)


@pytest.fixture
def visit(app: Flask) -> Callable[..., Visitor]:
    """`visit(people.seller, "zh")`: that person at the pages, in that language."""

    def as_(person: Any = None, language: str = "en") -> Visitor:
        return Visitor(app, person.token if person else None, language)

    return as_


@dataclass(frozen=True)
class Site:
    """A server in a thread of this process."""

    url: str


@pytest.fixture
def serve() -> Iterator[Callable[[Flask], Site]]:
    """`serve(app)`: the application behind a port of this machine until the test ends."""
    with contextlib.ExitStack() as opened:
        yield lambda app: opened.enter_context(_served(app))


@contextlib.contextmanager
def _served(app: Flask) -> Iterator[Site]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Site(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"no browser: {CHROMIUM} is not there")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield opened
        opened.close()


RESERVE = "777777.77"
"""A hidden reserve that no page may show, in any way of writing it."""


def cny(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "CNY"}


BANK_NAMES = {"buyer": "华信资产", "other_buyer": "浙江地方资产", "third_buyer": "金投资产"}
"""What the bank calls the payers of a statement: the registered names of `tests.people`."""

OWN_ACCOUNT = {
    "bank_name": "工商银行", "holder": "市场运营方", "number": "110000001",
    "opening": {"amount": "0.00", "currency": "CNY"}, "four_eyes_above": {"amount": "1000000000.00", "currency": "CNY"},
}  # fmt: skip


@dataclass
class Market:
    """A package from the tape to the sale, over the API; each method is one step and returns what the API answered."""

    api: Client
    people: People
    sessions: sessionmaker[Session]
    work: Callable[[], None]
    numbers: Any = field(default_factory=lambda: itertools.count(1))
    head: Decimal = Decimal("0.00")

    def package(self, *, rows: int = 60, name: str = "东海银行 2026 年第一期") -> Any:
        seller = self.api.as_(self.people.seller)
        as_of_on = min(tape.AS_OF_ON, date(2026, 1, 31))
        data = {"currency": "CNY", "as_of_on": as_of_on.isoformat(), "on_error": "keep_good"}
        file = (io.BytesIO(tape.make_tape(rows)), "tape.csv")
        seller.ok("POST", "/tapes", 202, data=data | {"file": file})
        self.work()
        made = seller.ok("POST", "/packages", 201, json={"name": name, "currency": "CNY", "filter": {}})
        return seller.ok("POST", f"/packages/{made['id']}/freeze", json={"cut_off_on": as_of_on.isoformat()})

    def open_room(self, package: Any) -> None:
        """Open a data room without documents; the buyers accept its agreement."""
        seller = self.api.as_(self.people.seller)
        room = seller.ok("POST", "/rooms", 201, json={"package_id": package["id"], "access": "licensed_buyers"})
        texts = {"text_zh": "保密。", "text_en": "Keep it confidential."}
        seller.ok("POST", f"/rooms/{room['id']}/agreement-versions", 201, json=texts)
        seller.ok("POST", f"/rooms/{room['id']}/open", json={})
        for buyer in (self.people.buyer, self.people.other_buyer, self.people.third_buyer):
            client = self.api.as_(buyer)
            agreement = client.ok("GET", f"/rooms/{room['id']}/agreement")
            client.ok("POST", f"/rooms/{room['id']}/agreement/accept", json={"sha256": agreement["sha256"]})

    def draft(self, package: Any, *, opens_at: datetime, ends_at: datetime, **terms: Any) -> Any:
        body = {
            "package_id": package["id"], "title_zh": "东海银行个人贷款资产包转让公告",
            "title_en": "Personal loans of Donghai Bank", "description": "不得再次对外转让。",
            "start_price": cny("500000.00"), "reserve_price": cny(RESERVE),
            "increment": {"kind": "fixed", "amount": "10000.00"}, "deposit": cny("50000.00"),
            "registration_closes_at": format_instant(opens_at), "opens_at": format_instant(opens_at),
            "ends_at": format_instant(ends_at),
        } | terms  # fmt: skip
        return self.api.as_(self.people.seller).ok("POST", "/listings", 201, json=body)

    def publish(self, draft: Any) -> Any:
        return self.api.as_(self.people.seller).ok("POST", f"/listings/{draft['id']}/publish")

    def register(self, listing: Any, *buyers: Any) -> list[Any]:
        """Apply, approve, and pay in the deposits by one bank statement."""
        made = [self.api.as_(buyer).ok("POST", f"/listings/{listing['id']}/registrations", 201) for buyer in buyers]
        for one in made:
            self.api.as_(self.people.compliance).ok("POST", f"/registrations/{one['id']}/approve")
        lines = [
            ("50000.00", f"保证金 {one['reference']}", self.payer(buyer))
            for one, buyer in zip(made, buyers, strict=True)
        ]
        self.statement(*lines)
        return made

    def payer(self, buyer: Any) -> str:
        """Whose registered name stands on a buyer's wires."""
        return next(name for name in BANK_NAMES if getattr(self.people, name).organisation_id == buyer.organisation_id)

    def statement(self, *lines: tuple[str, str, str]) -> Any:
        """Import a bank statement of (amount, remittance, counterparty) lines."""
        rows = ["date,amount,balance,remittance,counterparty,counterparty account,reference"]
        number = next(self.numbers)
        if number == 1:
            self.api.as_(self.people.finance).ok("POST", "/own-accounts", 201, json=OWN_ACCOUNT)
        for place, (amount, words, name) in enumerate(lines):
            self.head += Decimal(amount)
            party = f"{BANK_NAMES.get(name, name)},6222{name},B{number:04d}{place:02d}"
            rows.append(f"2026-03-02,{amount},{self.head},{words},{party}")
        file = (io.BytesIO("\n".join(rows).encode()), "statement.csv")
        data = {"file": file, "account": "110000001", "currency": "CNY"}
        return self.api.as_(self.people.finance).ok("POST", "/bank-statements", 201, data=data)

    def bid(self, listing: Any, who: Any, amount: str) -> Any:
        path = f"/auctions/{listing['auction_id']}/bids"
        return self.api.as_(who).ok("POST", path, json={"amount": cny(amount)})

    def auction_clock(self, expression: str) -> None:
        """Set PostgreSQL's clock of auctions to what an SQL expression says."""
        function = "CREATE OR REPLACE FUNCTION auction_time() RETURNS timestamptz LANGUAGE sql VOLATILE AS "
        with self.sessions.begin() as session:
            session.execute(text(f"{function} $$ SELECT {expression} $$"))

    def deal(self) -> Any:
        (deal,) = self.api.as_(self.people.finance).ok("GET", "/deals")["items"]
        return deal

    def settle(self) -> Any:
        """Pay the balance, sign, distribute: everything after the award."""
        self.work()
        deal = self.deal()
        self.statement((deal["due"]["amount"], f"余款 {deal['reference']}", "buyer"))
        for who in (self.people.seller, self.people.buyer):
            self.api.as_(who).ok("POST", f"/deals/{deal['id']}/sign-contract")
        self.work()
        return self.deal()


@pytest.fixture
def appraised(monkeypatch: pytest.MonkeyPatch) -> None:
    """An accepted appraisal; how one comes about is tested with the valuation."""
    monkeypatch.setattr("valuation.service.accepted_appraisal", lambda *_, **__: object())


@pytest.fixture
def market(api: Client, people: People, sessions: Any, work: Any, appraised: None) -> Market:
    with sessions.begin() as session:
        signing.ensure_key(session, vault=runtime.current().vault, at=datetime(2020, 1, 1, tzinfo=UTC))
    return Market(api, people, sessions, work)


@dataclass
class Sale:
    """A sale under the test's own clock, which also stands for PostgreSQL's clock of auctions."""

    market: Market
    clock: Any
    tick: Callable[[], None]
    package: Any = None
    listing: Any = None

    def at(self, moment: datetime) -> None:
        self.clock.at = moment
        self.market.auction_clock(f"timestamptz '{moment.isoformat()}'")

    def open(self) -> "Sale":
        """Two buyers registered and covered, one minute into the bidding of an hour."""
        people, opens_at = self.market.people, datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
        self.at(self.clock.at)
        self.package = self.market.package()
        self.market.open_room(self.package)
        draft = self.market.draft(self.package, opens_at=opens_at, ends_at=opens_at + timedelta(hours=1))
        self.listing = self.market.publish(draft)
        self.market.register(self.listing, people.buyer, people.third_buyer)
        self.at(opens_at + timedelta(minutes=1))
        return self

    def bid_up(self) -> "Sale":
        """Three bids, the last of them inside the soft close; the buyer wins."""
        people = self.market.people
        self.market.bid(self.listing, people.buyer, "600000.00")
        self.at(self.clock.at + timedelta(minutes=20))
        self.market.bid(self.listing, people.third_buyer, "780000.00")
        self.at(datetime(2026, 3, 2, 12, 57, tzinfo=UTC))
        self.market.bid(self.listing, people.buyer, "801234.56")
        return self

    def close(self) -> "Sale":
        self.at(datetime(2026, 3, 2, 13, 3, tzinfo=UTC))
        self.tick()
        return self


@pytest.fixture
def sale(market: Market, clock: Any, tick: Any) -> Sale:
    return Sale(market, clock, tick)
