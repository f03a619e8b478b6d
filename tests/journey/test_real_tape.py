"""The journey on a real tape: charged-off loans of a public lender, in dollars, every case allocated to the cent.

The same steps as the demonstration, over the API in this process, on the system's clock; the auction lasts seconds.
"""

import time
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest

from demo import appraising, auctioneering, sale
from demo.auctioneering import Bidder
from demo.bank import ACCOUNT, Movement, camt053
from demo.sale import Sale, value
from marketplace.clock import SystemClock
from marketplace.money import share_out
from tests.journey.walk import InProcess

pytestmark = pytest.mark.slow


@pytest.fixture
def clock():
    return SystemClock()


@dataclass
class OnTheSystemsClock(InProcess):
    """A client that waits for real seconds."""

    def wait_for(self, path, done, *, seconds, show=None):  # noqa: ARG002 - the signature of the client it stands for
        deadline = time.monotonic() + seconds
        while not done(answer := self.get(path)):
            self.tick()
            assert time.monotonic() < deadline, answer
            time.sleep(0.1)
        return answer


@pytest.fixture
def cast(app, people, tick, monkeypatch):
    """The parts of the demonstration, played by the people of the tests."""
    monkeypatch.setattr(sale, "CURRENCY", "USD")

    def client(person):
        return OnTheSystemsClock("", person.token, app=app, tick=tick)

    parts = {name: client(getattr(people, name)) for name in PARTS}
    buyers = {"one": client(people.buyer), "two": client(people.other_buyer), "three": client(people.third_buyer)}
    names = {"one": "华信资产", "two": "浙江地方资产", "three": "金投资产"}
    return SimpleNamespace(**parts, buyers=buyers, names=names)


PARTS = ("seller", "valuer", "compliance", "finance", "admin", "auditor")
MAPPING = {
    "name": "LendingClub",
    "columns": {
        "case_key": "loan_ref", "borrower_name": "loan_ref", "product": "purpose", "principal": "funded_amnt",
        "originated_on": "issue_d", "default_on": "last_pymnt_d", "province": "addr_state",
    },
    "less": {"principal": ["total_rec_prncp"]},
    "constants": {"default_on": "2012-01-01", "written_off": "true", "grade": "loss"},
    "currency": "USD",
    "binary_noise": True,
}  # fmt: skip


def _own_account(cast):
    body = {
        "bank_name": "Bank", "holder": "Market", "number": ACCOUNT, "opening": {"amount": "0.00", "currency": "USD"},
        "four_eyes_above": {"amount": "0.00", "currency": "USD"},
    }  # fmt: skip
    cast.finance.post("/own-accounts", body)


def _statement(cast, movements, balance):
    day = SystemClock().now().date()
    content = camt053(movements, number=f"S{balance}", day=day, opening=balance).replace(b'Ccy="CNY"', b'Ccy="USD"')
    content = content.replace(b"<Ccy>CNY</Ccy>", b"<Ccy>USD</Ccy>")
    for _ in range(2):
        cast.finance.upload("/bank-statements", {}, "statement.xml", content, "application/xml")
    return balance + sum((movement.amount for movement in movements), Decimal(0))


def test_every_real_case_gets_its_cents(cast, shared_data, tick, work):
    tape = (shared_data / "lendingclub_2007_2011" / "charged_off_tape.csv").read_bytes()
    mapping = cast.seller.post("/tape-mappings", MAPPING)
    form = {"currency": "USD", "as_of_on": "2017-11-30", "mapping_id": mapping["id"], "on_error": "refuse_all"}
    sent = cast.seller.upload("/tapes", form, "tape.csv", tape, "text/csv")
    work()
    read = cast.seller.get(f"/tapes/{sent['id']}")
    assert (read["state"], read["bad_rows"], read["added"]) == ("imported", 0, 4208), read

    lot = Sale("LendingClub charged-off 2007-2011")
    made = cast.seller.post("/packages", {"name": lot.name, "currency": "USD", "filter": {}})
    lot.package = cast.seller.post(f"/packages/{made['id']}/freeze", {"cut_off_on": "2017-11-30"})
    assert lot.package["header"]["principal"] == "31738526.84"
    appraising.appraise(cast, lot)
    sale.fill_room(cast, lot)
    sale.examine(cast, lot)
    sale.publish(cast, lot, opens=timedelta(seconds=4), lasts=timedelta(seconds=5), soft_close=2)
    sale.register(cast, lot)
    work()
    _own_account(cast)
    balance = _statement(cast, sale.deposit_wires(cast, lot, 1), Decimal("0.00"))
    work()
    auctioneering.wait_until_open(cast.auditor, lot)
    bidders = [
        Bidder(name, client, lot.start * 2, 0.2, seed) for seed, (name, client) in enumerate(cast.buyers.items())
    ]
    bidders[0].limit = lot.start * Decimal("1.1")
    auctioneering.compete(bidders, lot)
    tick()
    deal = _settle(cast, lot, balance, work)
    _check(cast, deal)


def _settle(cast, lot, balance, work):
    (deal,) = cast.finance.get("/deals")["items"]
    winner = next(
        name for name, made in lot.registrations.items() if made["organisation_id"] == deal["buyer_organisation_id"]
    )
    wire = sale.wire(cast, winner, value(deal["due"]), f"balance {deal['reference'].lower()}", "9")
    balance = _statement(cast, [wire], balance)
    work()
    account = {"holder": "Seller", "number": "US0001", "currency": "USD"}
    cast.seller.post("/bank-accounts", account)
    cast.seller.post(f"/deals/{deal['id']}/sign-contract")
    cast.buyers[winner].post(f"/deals/{deal['id']}/sign-contract")
    work()
    movements = []
    for order in cast.finance.get("/payment-orders?state=proposed&limit=200")["items"]:
        cast.admin.post(f"/payment-orders/{order['id']}/approve")
        cast.finance.post(f"/payment-orders/{order['id']}/send")
        amount = -value(order["amount"])
        movements.append(Movement(amount, order["reference"], order["reference"], order["payee_name"], "X"))
    _statement(cast, movements, balance)
    work()
    return cast.finance.get(f"/deals/{deal['id']}")


def _check(cast, deal):
    assert (deal["state"], deal["case_count"]) == ("settled", 4208)
    shares, cursor = [], ""
    while cursor is not None:
        page = cast.finance.get(f"/deals/{deal['id']}/allocations?limit=200{cursor}")
        shares += page["items"]
        cursor = page["next"] and f"&cursor={page['next']}"
    cents = {share["case_key"]: int(share["amount"]["amount"].replace(".", "")) for share in shares}
    weights = {share["case_key"]: int(share["weight"]["amount"].replace(".", "")) for share in shares}
    net = int(deal["net"]["amount"].replace(".", ""))
    assert sum(cents.values()) == net
    keys = list(cents)
    assert [cents[key] for key in keys] == share_out(net, [weights[key] for key in keys], keys)
    figures = cast.auditor.get(f"/deals/{deal['id']}/reconciliation")
    assert (figures["agrees"], figures["difference"]["amount"]) == (True, "0.00")
    case = shares[0]["case_id"]
    assert cast.seller.get(f"/cases/{case}")["case"]["state"] == "sold"
    trail = cast.auditor.get(f"/cases/{case}/money-trail")["deals"][0]
    lines = [line for entry in trail["entries"] for line in entry["lines"]]
    assert {line["role"] for line in lines} == {"deposit", "balance", "payout"}
    back = cast.auditor.get(f"/statement-lines/{lines[0]['line_id']}/cases?limit=200")
    assert back["items"]
