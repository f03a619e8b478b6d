"""A sale on its way: a frozen package that was auctioned, and three bidders whose deposits came in by bank."""

import copy
import functools
import importlib.util
import io
import itertools
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import wsgi
from auctions import service as auctions
from auctions.award_models import Award
from auctions.domain.awards import AwardTerms
from auctions.events import AuctionAwarded, AuctionFailed
from auctions.models import Auction, Listing, Registration
from marketplace import db, outbox, runtime
from marketplace.actor import SYSTEM
from marketplace.packages import service as packages
from settlement.domain.references import ReferenceKind, new_reference
from tests.conftest import TEMPLATE, Client, MovableClock, app_over, keep_copy, make_settings, peopled, work_off

_SPEC = importlib.util.spec_from_file_location("cases_conftest", Path(__file__).parents[2] / "cases" / "conftest.py")
_CASES = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_CASES)
deliver = _CASES.deliver

DEPOSIT = 50_000_00
PRICE = 1_000_000_01


def make_listing(package: Any, *, at: Any) -> Listing:
    return Listing(
        id=db.new_id(), package_id=package.id, seller_organisation_id=package.organisation_id,
        state=auctions.ListingState.CLOSED, currency="CNY", title_zh="一期", start_price_minor=PRICE // 2,
        increment={"kind": "fixed", "amount": "1.00"}, deposit_minor=DEPOSIT,
        registration_closes_at=at, opens_at=at, ends_at=at + timedelta(hours=1), created_at=at, published_at=at,
    )  # fmt: skip


def make_auction(listing: Listing, *, at: Any) -> Auction:
    return Auction(
        id=db.new_id(), listing_id=listing.id, package_id=listing.package_id, currency="CNY", rules="{}",
        rules_hash="", reserve_salt="", reserve_commitment="", opens_at=at, ends_at=at + timedelta(hours=1),
        closed_at=at, outcome=auctions.AuctionOutcome.SOLD,
    )  # fmt: skip


NAMES = {"buyer": "华信资产", "other_buyer": "浙江地方资产", "third_buyer": "金投资产"}
"""What the bank calls the payers of a statement: the registered names of `tests.people`."""

ACCOUNT = {
    "bank_name": "工商银行", "holder": "市场运营方", "number": "110000001",
    "opening": {"amount": "0.00", "currency": "CNY"}, "four_eyes_above": {"amount": "1000000000.00", "currency": "CNY"},
}  # fmt: skip


def yuan(minor: int) -> str:
    return f"{'-' * (minor < 0)}{abs(minor) // 100}.{abs(minor) % 100:02d}"


@dataclass
class Sale:
    """Ids of what was made, and the deeds of the people around it."""

    api: Any
    people: Any
    sessions: Any
    clock: Any
    work: Any
    package_id: Any = None
    listing_id: Any = None
    auction_id: Any = None
    award_id: Any = None
    registrations: dict[str, Any] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(1))
    head: int = 0

    def register(self, session: Any, name: str, organisation_id: Any) -> None:
        """An organisation is an approved bidder of the listing."""
        registration = Registration(
            id=db.new_id(), listing_id=self.listing_id, organisation_id=organisation_id,
            state=auctions.RegistrationState.APPROVED, bidder_code=f"K{len(self.registrations)}",
            reference=new_reference(ReferenceKind.DEPOSIT), deposit_minor=DEPOSIT, currency="CNY",
            applied_at=self.clock.now(),
        )  # fmt: skip
        session.add(registration)
        self.registrations[name], self.references[name] = registration.id, registration.reference

    def statement(self, *lines: tuple[int, str, str]) -> Any:
        """Import a bank statement of (minor units, remittance, counterparty) lines."""
        rows = ["date,amount,balance,remittance,counterparty,counterparty account,reference"]
        number = next(self.numbers)
        if number == 1:
            self.api.as_(self.people.finance).ok("POST", "/own-accounts", 201, json=ACCOUNT)
        for place, (minor, remittance, name) in enumerate(lines):
            self.head += minor
            party = f"{NAMES.get(name, name)},6222{name},B{number:04d}{place:02d}"
            rows.append(f"2026-03-02,{yuan(minor)},{yuan(self.head)},{remittance},{party}")
        file = (io.BytesIO("\n".join(rows).encode()), "statement.csv")
        data = {"file": file, "account": "110000001", "currency": "CNY"}
        return self.api.as_(self.people.finance).ok("POST", "/bank-statements", 201, data=data)

    def award(self, *, runner_up: bool = True, price: int = PRICE) -> Any:
        """Write down that the buyer has won, as closing does, and announce it."""
        with self.sessions.begin() as session:
            award = Award(
                auction_id=self.auction_id, listing_id=self.listing_id, package_id=self.package_id,
                seller_organisation_id=self.people.seller.organisation_id,
                registration_id=self.registrations["buyer"],
                runner_up_registration_id=self.registrations["other_buyer"] if runner_up else None,
                state=auctions.AwardState.PENDING, price_minor=price, currency="CNY", created_at=self.clock.now(),
                in_force_at=self.clock.now(), terms=AwardTerms().document(),
            )  # fmt: skip
            session.add(award)
            session.flush()
            self.award_id = award.id
            event = AuctionAwarded(award.id, self.auction_id, self.listing_id, self.package_id)
            outbox.publish(session, event, at=self.clock.now())
        return self.award_id

    def fail(self) -> None:
        """Announce that the auction ended without a sale."""
        with self.sessions.begin() as session:
            event = AuctionFailed(self.auction_id, self.listing_id, self.package_id)
            outbox.publish(session, event, at=self.clock.now())

    def deal(self, who: Any = None) -> Any:
        """The one deal, as somebody sees it."""
        deals = self.api.as_(who or self.people.finance).ok("GET", "/deals")["items"]
        assert len(deals) == 1
        return deals[0]

    def pay_balance(self) -> None:
        deal = self.deal()
        minor = int(deal["due"]["amount"].replace(".", ""))
        self.statement((minor, f"余款 {deal['reference']}", "buyer"))

    def sign(self) -> None:
        deal = self.deal()
        for who in (self.people.seller, self.people.buyer):
            self.api.as_(who).ok("POST", f"/deals/{deal['id']}/sign-contract")

    def sell(self) -> Any:
        """Everything from the award to the settled deal."""
        self.award()
        self.work()
        self.pay_balance()
        self.sign()
        self.work()
        return self.deal()

    def orders(self, **query: Any) -> Any:
        return self.api.as_(self.people.finance).ok("GET", "/payment-orders", query_string=query)["items"]

    def sql(self, query: str, **values: Any) -> Any:
        from sqlalchemy import text

        with self.sessions() as session:
            return session.execute(text(query), values).all()


@dataclass(frozen=True)
class Kept:
    """A sale as one process keeps it: the template with its rows, the folder with its files, what is known of it."""

    template: str
    files: Path
    known: dict[str, Any]


@functools.cache
def _kept(files: Path) -> Kept:
    """Make a sale in a database of its own: for each test anew it would take ten times as long as its copy."""
    name, url = keep_copy(peopled()[0])
    running = runtime.build(make_settings(url, files), wsgi.MODULES, clock=MovableClock())
    runtime.install(running)
    work = functools.partial(work_off, running)
    sale = Sale(Client(app_over(running)), peopled()[1], running.sessions, running.clock, work)
    sell_at_auction(sale, _CASES.delivering(sale.api, sale.people, work))
    pay_deposits(sale)
    running.engine.dispose()
    known = ("package_id", "listing_id", "auction_id", "registrations", "references", "head")
    return Kept(name, files, {attribute: getattr(sale, attribute) for attribute in known})


@pytest.fixture
def kept_sale(tmp_path_factory) -> Callable[[], Kept]:
    """The sale of this process, made when it is first asked for."""
    return lambda: _kept(tmp_path_factory.getbasetemp() / "sale")


@pytest.fixture
def template(request, template, kept_sale):
    """A database with the sale in it for a test that asks for one, if `people` are in that from which it is made."""
    wanted = "sale" in request.fixturenames and "unpaid_sale" not in request.fixturenames
    return kept_sale().template if wanted and template == peopled()[0] else template


@pytest.fixture
def unpaid_sale(api, people, sessions, clock, work, deliver) -> Sale:
    """Five cases sold at auction; the three bidders have paid nothing yet."""
    sale = Sale(api, people, sessions, clock, work)
    sell_at_auction(sale, deliver)
    return sale


@pytest.fixture
def sale(request, template, running, api, people, sessions, clock, work) -> Sale:
    """Five cases sold at auction; the three bidders' deposits are held."""
    if template in {TEMPLATE, peopled()[0]}:
        sale = request.getfixturevalue("unpaid_sale")
        pay_deposits(sale)
        return sale
    sale, kept = Sale(api, people, sessions, clock, work), request.getfixturevalue("kept_sale")()
    vars(sale).update(copy.deepcopy(kept.known))
    next(sale.numbers)
    shutil.copytree(kept.files, running.settings.files_path, dirs_exist_ok=True)
    return sale


def sell_at_auction(sale: Sale, deliver: Any) -> None:
    """What `unpaid_sale` has."""
    people, sessions, clock = sale.people, sale.sessions, sale.clock
    rows = ["case_key,borrower,principal,interest,days_past_due"]
    rows += [f"LN{n},张三{n},{n * 1000}.33,{n}.10,{100 + n}" for n in (1, 2, 10, 3, 4)]
    deliver("\n".join(rows) + "\n")
    seller = sale.api.as_(people.seller)
    package = seller.ok("POST", "/packages", 201, json={"name": "第一期", "filter": {}})
    seller.ok("POST", f"/packages/{package['id']}/freeze", json={"cut_off_on": "2026-01-31"})
    with sessions.begin() as session:
        row = packages.require_package(session, package["id"])
        packages.list_package(session, row.id, actor=SYSTEM, at=clock.now())
        listing = make_listing(row, at=clock.now())
        session.add(listing)
        session.flush()
        auction = make_auction(listing, at=clock.now())
        session.add(auction)
        sale.package_id, sale.listing_id, sale.auction_id = row.id, listing.id, auction.id
        for name in ("buyer", "other_buyer", "third_buyer"):
            sale.register(session, name, getattr(people, name).organisation_id)


def pay_deposits(sale: Sale) -> None:
    """The three bidders pay by bank."""
    sale.statement(*((DEPOSIT, f"保证金 {reference}", name) for name, reference in sale.references.items()))
