"""A registration without the whole way to it, and statements that pay."""

import io
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from auctions.domain import references
from auctions.domain.lifecycles import RegistrationState
from auctions.models import Registration
from marketplace import db
from tests.conftest import NOW

DEPOSIT = 10_000_000


@dataclass
class Statement:
    """Writes a CSV statement of our account, running balance included, line by line."""

    rows: list[str]
    balance: int = 0
    count: int = 0

    def line(
        self, amount: int, remittance: str = "", *, name: str = "华信资产", account: str = "6217000", number=""
    ) -> None:
        self.balance += amount
        self.count += 1
        money = f"{abs(amount) // 100}.{abs(amount) % 100:02d}"
        credit, debit = (money, "") if amount >= 0 else ("", money)
        sign = "-" if self.balance < 0 else ""
        balance = f"{sign}{abs(self.balance) // 100}.{abs(self.balance) % 100:02d}"
        number = number or f"L{uuid.uuid4().hex[:12]}"
        self.rows.append(f"2026-03-02,{credit},{debit},{balance},{remittance},{name},{account},{number}")

    @property
    def content(self) -> bytes:
        return "\n".join(self.rows).encode()

    def upload(self, **form: str) -> dict:
        return {
            "data": {"file": (io.BytesIO(self.content), "对账单.csv"), **form},
            "content_type": "multipart/form-data",
        }


@pytest.fixture
def statement() -> Callable[[], Statement]:
    def make(currency: str = "人民币", account: str = "622202") -> Statement:
        return Statement(
            [f"账号,{account},币种,{currency}", "交易日期,贷方金额,借方金额,余额,摘要,对方户名,对方账号,流水号"]
        )

    return make


@pytest.fixture
def registration(sessions, people) -> Callable[..., Registration]:
    """Makes an approved registration of a buyer without its listing: this test's database lets go of that one key."""
    numbers = iter(range(1, 1000))
    with sessions.begin() as session:
        session.execute(text("ALTER TABLE registrations DROP CONSTRAINT fk_registrations_listing_id"))

    def make(person=None, *, deposit: int = DEPOSIT, state=RegistrationState.APPROVED, currency="CNY") -> Registration:
        number = next(numbers)
        row = Registration(
            id=db.new_id(),
            listing_id=uuid.uuid4(),
            organisation_id=(person or people.buyer).organisation_id,
            state=state,
            bidder_code=f"B-{1000 + number}",
            reference=references.make_reference(number * 7919),
            deposit_minor=deposit,
            currency=currency,
            applied_at=NOW,
        )
        with sessions.begin() as session:
            session.add(row)
        return row

    return make
