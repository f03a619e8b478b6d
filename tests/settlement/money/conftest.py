"""A registration without the whole way to it, and statements that pay."""

import io
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from auctions.domain import references
from auctions.domain.lifecycles import ListingState, RegistrationState
from auctions.models import Listing, Registration
from marketplace import db
from marketplace.actor import SYSTEM
from marketplace.money import Money
from marketplace.packages.domain.package import PackageState
from marketplace.packages.models import Package
from settlement import own_accounts
from settlement.bank_models import OwnAccount
from tests.conftest import NOW

DEPOSIT = 10_000_000


HEADER = "交易日期,贷方金额,借方金额,余额,摘要,对方户名,对方账号,流水号"


@dataclass
class Statement:
    """Writes a CSV statement of our account line by line; it opens where the one sent before it ended."""

    account: str
    currency: str
    heads: dict[tuple[str, str], int]
    lines: list[tuple[int, str]] = field(default_factory=list)
    opening: int | None = None

    def line(
        self, amount: int, remittance: str = "", *, name: str = "华信资产", account: str = "6217000", number=""
    ) -> None:
        credit, debit = (money(abs(amount)), "") if amount >= 0 else ("", money(abs(amount)))
        number = number or f"L{uuid.uuid4().hex[:12]}"
        self.lines.append((amount, f"2026-03-02,{credit},{debit},{{}},{remittance},{name},{account},{number}"))

    @property
    def content(self) -> bytes:
        key = (self.account, self.currency)
        if self.opening is None:
            self.opening = self.heads.get(key, 0)
        balance = self.opening
        rows = [
            f"账号,{self.account},币种,{self.currency}",
            "交易日期,贷方金额,借方金额,余额,摘要,对方户名,对方账号,流水号",
        ]
        for amount, row in self.lines:
            balance += amount
            rows.append(row.format(money(balance)))
        self.heads[key] = balance
        return "\n".join(rows).encode()

    def upload(self, **form: str) -> dict:
        return {
            "data": {"file": (io.BytesIO(self.content), "对账单.csv"), **form},
            "content_type": "multipart/form-data",
        }


def money(minor: int) -> str:
    return f"{'-' * (minor < 0)}{abs(minor) // 100}.{abs(minor) % 100:02d}"


def register(session, number: str, currency: str = "CNY", **changes) -> OwnAccount:
    """Say that an account is ours, opening at nothing and with one pair of eyes."""
    values = {
        "bank_name": "工商银行", "holder": "市场运营方", "number": number, "opening": Money(0, currency),
        "numbered": False, "csv_profile": "", "four_eyes_above": Money(10**15, currency),
    } | changes  # fmt: skip
    return own_accounts.register_account(session, **values, actor=SYSTEM, at=NOW)


PAPER = b"%PDF-1.7 a declaration"


def propose_third_party(api, people, line: dict, reference: str) -> dict:
    """Finance keeps a document about whoever paid and asks for its acceptance; returns the proposal."""
    finance = api.as_(people.finance)
    url = f"/statement-lines/{line['id']}"
    upload = {"data": {"file": (io.BytesIO(PAPER), "声明.pdf")}, "content_type": "multipart/form-data"}
    kept = finance.ok("POST", f"{url}/documents", 201, **upload)
    body = {"reference": reference, "document_id": kept["id"], "reason": "its parent company"}
    return finance.ok("POST", f"{url}/match", json=body)["proposals"][-1]


def accept(api, people, line: dict, reference: str) -> None:
    """Two persons accept the payment of a third party."""
    proposal = propose_third_party(api, people, line, reference)
    api.as_(people.admin).ok("POST", f"/match-proposals/{proposal['id']}/approve")


@pytest.fixture
def heads(sessions) -> dict[tuple[str, str], int]:
    """Where our accounts stand; those of these tests are registered."""
    with sessions.begin() as session:
        for currency in ("CNY", "EUR"):
            register(session, "622202", currency)
    return {}


@pytest.fixture
def statement(heads) -> Callable[..., Statement]:
    def make(currency: str = "CNY", account: str = "622202") -> Statement:
        return Statement(account, currency, heads)

    return make


@pytest.fixture
def registration(sessions, people) -> Callable[..., Registration]:
    """Makes an approved registration of a buyer, each for a listing of its own, which is a draft."""
    numbers = iter(range(1, 1000))

    def listing(session) -> uuid.UUID:
        seller = people.seller.organisation_id
        package = Package(
            id=db.new_id(), organisation_id=seller, name="资产包", currency="CNY", criteria={},
            state=PackageState.DRAFT, created_at=NOW,
        )  # fmt: skip
        session.add(package)
        session.flush()
        row = Listing(
            id=db.new_id(), package_id=package.id, seller_organisation_id=seller, state=ListingState.DRAFT,
            currency="CNY", created_at=NOW,
        )  # fmt: skip
        session.add(row)
        session.flush()
        return row.id

    def make(person=None, *, deposit: int = DEPOSIT, state=RegistrationState.APPROVED, currency="CNY") -> Registration:
        number = next(numbers)
        with sessions.begin() as session:
            row = Registration(
                id=db.new_id(),
                listing_id=listing(session),
                organisation_id=(person or people.buyer).organisation_id,
                state=state,
                bidder_code=f"B-{1000 + number}",
                reference=references.make_reference(number * 7919),
                deposit_minor=deposit,
                currency=currency,
                applied_at=NOW,
            )
            session.add(row)
        return row

    return make
