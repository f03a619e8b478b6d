"""A package sold in lots, as people do it over the API: cut, announced, bid for, opened, paid, settled, relisted."""

import csv
import io
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy.exc import DBAPIError

from marketplace import http
from marketplace.actor import SYSTEM
from marketplace.clock import format_instant
from settlement import payouts
from tests.auctions.conftest import OPENS, cny, stage  # noqa: F401 - a fixture
from tests.settlement.deals.lot_sale import CUTS, DEPOSIT, ROWS, LotSale, keys, published, sold


@pytest.fixture
def lots(api, people, sessions, clock, work, deliver, stage):  # noqa: F811 - the fixture
    sale = LotSale(api, people, sessions, clock, work)
    sale.freeze(deliver, stage)
    return sale


@pytest.mark.parametrize("order", [("buyer", "other_buyer"), ("other_buyer", "buyer")])
def test_a_package_in_three_lots_two_winners_every_cent_at_its_own_cases(lots, order) -> None:
    _, result = sold(lots)
    won = {award["lots"][0]: award for award in result["awards"]}
    assert {lot: award["price"]["amount"] for lot, award in won.items()} == {"L1": "30000.01", "L2": "25000.02"}
    states = lots.case_states()
    assert set(states.values()) == {"bundled"}

    first, second = (lots.settle(name) for name in order)
    assert (first["state"], second["state"]) == ("settled", "settled")
    by_price = {deal["price"]["amount"]: deal for deal in (first, second)}
    for price, prefix in (("30000.01", "A"), ("25000.02", "B")):
        deal = by_price[price]
        shares = lots.allocations(deal)
        assert set(shares) == keys(prefix)
        assert sum(shares.values()) == int(deal["net"]["amount"].replace(".", ""))
        document = lots.api.as_(lots.people.auditor).ok("GET", f"/deals/{deal['id']}/funds-flow.json")
        assert {row["case"] for row in document["cases"]} == keys(prefix)
        report = lots.api.as_(lots.people.finance).ok("GET", f"/deals/{deal['id']}/reconciliation")
        assert report["agrees"] is True, report

        check_trail(lots, deal, min(keys(prefix)))
    states = lots.case_states()
    assert {key for key, state in states.items() if state == "sold"} == keys("A") | keys("B")
    assert lots.package(lots.package_id)["state"] == "sold"
    check_unsold_is_free(lots)


def check_trail(lots, deal, key):
    """The trail of a case names its own deal and what was paid for it, to the cent."""
    case_id = lots.sql("SELECT id FROM cases WHERE case_key = :key", key=key)[0][0]
    trail = lots.api.as_(lots.people.finance).ok("GET", f"/cases/{case_id}/money-trail")["deals"]
    assert [one["deal_id"] for one in trail] == [deal["id"]]
    parts = [(line["role"], line["part"]["amount"]) for entry in trail[0]["entries"] for line in entry["lines"]]
    paid = sum(int(part.replace(".", "")) for role, part in parts if role in {"deposit", "balance"})
    assert paid == int(deal["price"]["amount"].replace(".", "")), parts


def test_one_bidder_with_two_bids_that_win_has_two_deals(lots) -> None:
    listing, shares = published(lots)
    assert lots.bid(listing, "buyer", "30000.01", "L1").status_code == 201
    assert lots.bid(listing, "buyer", "12000.00", "L3").status_code == 201
    assert len(lots.open(listing, shares)["awards"]) == 2
    deals = {row["price"]["amount"]: row for row in lots.api.as_(lots.people.finance).ok("GET", "/deals")["items"]}
    assert sum(int(row["deposit"]["amount"].replace(".", "")) for row in deals.values()) == DEPOSIT
    for price, prefix in (("30000.01", "A"), ("12000.00", "C")):
        deal = deals[price]
        due = int(deal["due"]["amount"].replace(".", ""))
        if due:
            lots.statement((due, f"余款 {deal['reference']}", "buyer"))
        for who in (lots.people.seller, lots.people.buyer):
            lots.api.as_(who).ok("POST", f"/deals/{deal['id']}/sign-contract")
        lots.work()
        shown = lots.api.as_(lots.people.finance).ok("GET", f"/deals/{deal['id']}")
        assert shown["state"] == "settled"
        assert set(lots.allocations(shown)) == keys(prefix)
        check_trail(lots, shown, min(keys(prefix)))
        assert lots.api.as_(lots.people.finance).ok("GET", f"/deals/{deal['id']}/reconciliation")["agrees"] is True
    assert lots.package(lots.package_id)["state"] == "sold"


def test_a_deposit_that_two_deals_share_is_shown_on_each_by_its_part(lots) -> None:
    listing, shares = published(lots)
    for amount, lot in (("12000.00", "L2"), ("15000.00", "L3")):
        assert lots.bid(listing, "buyer", amount, lot).status_code == 201
    assert len(lots.open(listing, shares)["awards"]) == 2
    finance = lots.api.as_(lots.people.finance)
    deals = {row["price"]["amount"]: row for row in finance.ok("GET", "/deals")["items"]}
    assert sum(int(row["deposit"]["amount"].replace(".", "")) for row in deals.values()) == DEPOSIT
    assert all(row["deposit"]["amount"] != "0.00" for row in deals.values())
    for price, prefix in (("12000.00", "B"), ("15000.00", "C")):
        due = int(deals[price]["due"]["amount"].replace(".", ""))
        if due:
            lots.statement((due, f"余款 {deals[price]['reference']}", "buyer"))
        for who in (lots.people.seller, lots.people.buyer):
            lots.api.as_(who).ok("POST", f"/deals/{deals[price]['id']}/sign-contract")
        lots.work()
        check_trail(lots, deals[price], min(keys(prefix)))


REFUSED = {
    "a case in a second lot": (
        "pk_lot_cases",
        "INSERT INTO lot_cases SELECT listing_id, case_id, 'L2', package_id FROM lot_cases WHERE lot = 'L1' LIMIT 1",
    ),
    "a case of another package": (
        "fk_lot_cases_case_of_package",
        "INSERT INTO lot_cases SELECT listing_id, uuidv7(), 'L2', package_id FROM lot_cases WHERE lot = 'L1' LIMIT 1",
    ),
    "a lot taken away after publication": ("lot_cases_fixed", "DELETE FROM lot_cases WHERE lot = 'L3'"),
    "a case moved to another lot": ("lot_cases_not_changed", "UPDATE lot_cases SET lot = 'L1' WHERE lot = 'L3'"),
    "all lots at once": ("lot_cases_not_changed", "TRUNCATE lot_cases"),
    "a second award of a lot": ("pk_award_lots", "UPDATE awards SET lots = '{L1,L2}' WHERE lots = '{L2}'"),
    "an award of no lot": ("awards_of_lots", "UPDATE awards SET lots = '{}' WHERE slot = 1"),
    "an award of a lot that is not there": ("fk_award_lots_lot", "UPDATE awards SET lots = '{L9}' WHERE slot = 1"),
    "a second slot without lots": ("ck_awards_slots_of_lots", "UPDATE awards SET lots = '{}' WHERE slot = 2"),
}


def test_postgresql_itself_refuses_to_award_a_case_twice(lots) -> None:
    sold(lots)
    for what, (constraint, statement) in REFUSED.items():
        with pytest.raises(DBAPIError) as refused, lots.sessions.begin() as session:
            session.connection().exec_driver_sql(statement)
        assert refused.value.orig.diag.constraint_name == constraint, what


FOREIGN = """
WITH d AS (SELECT id FROM deals WHERE state = 'awaiting_payment')
INSERT INTO allocations SELECT 0, d.id, c.case_id, 'x', 0, 0 FROM d, lot_cases c WHERE c.lot = 'L3' LIMIT 1
"""
TWICE = """
WITH d AS (SELECT id FROM deals WHERE state = 'awaiting_payment')
INSERT INTO allocations SELECT 0, d.id, a.case_id, a.case_key, 0, 0 FROM d, allocations a LIMIT 1
"""


def test_postgresql_itself_refuses_to_allocate_to_a_case_of_others(lots) -> None:
    sold(lots)
    lots.settle("buyer")
    for statement in (FOREIGN, TWICE):
        with lots.sessions() as session:
            connection = session.connection()
            connection.exec_driver_sql("UPDATE deals SET net_minor = 0, case_count = 1 WHERE net_minor IS NULL")
            with pytest.raises(DBAPIError) as refused:
                connection.exec_driver_sql(statement)
        assert refused.value.orig.diag.constraint_name == "allocations_of_own_cases"


def test_lots_of_a_time_when_they_were_names_are_not_distributed(lots) -> None:
    sold(lots)
    with lots.sessions.begin() as session:
        session.connection().exec_driver_sql("SET LOCAL session_replication_role = replica")
        session.connection().exec_driver_sql("DELETE FROM lot_cases")
    deal = lots.deals()[str(lots.people.buyer.organisation_id)]
    minor = int(deal["due"]["amount"].replace(".", ""))
    lots.statement((minor, f"余款 {deal['reference']}", "buyer"))
    for who in (lots.people.seller, lots.people.buyer):
        lots.api.as_(who).ok("POST", f"/deals/{deal['id']}/sign-contract")
    answer = lots.api.as_(lots.people.finance).post(f"/deals/{deal['id']}/distribute")
    assert (answer.status_code, answer.get_json()["code"]) == (409, "lots_without_cases")


def test_two_deals_that_settle_at_once_sell_each_its_own_cases(lots) -> None:
    """Four threads, two for each deal, every step at once: PostgreSQL's locks put them in an order."""
    sold(lots)
    found = lots.deals().values()
    for name in ("buyer", "other_buyer"):
        deal = lots.deals()[str(getattr(lots.people, name).organisation_id)]
        lots.statement((int(deal["due"]["amount"].replace(".", "")), f"余款 {deal['reference']}", name))
        for who in (lots.people.seller, getattr(lots.people, name)):
            lots.api.as_(who).ok("POST", f"/deals/{deal['id']}/sign-contract")

    def run(deal_id):
        for step in (payouts.distribute_deal, payouts.record_proceeds, payouts.settle_deal):
            with lots.sessions.begin() as session:
                step(session, deal_id=uuid.UUID(deal_id), actor=SYSTEM, at=lots.clock.now())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, [deal["id"] for deal in found] * 2))
    lots.work()
    assert lots.package(lots.package_id)["state"] == "sold"
    assert lots.sql("SELECT count(*), count(DISTINCT case_id) FROM allocations") == [(11, 11)]
    assert {deal["state"] for deal in lots.deals().values()} == {"settled"}


def check_unsold_is_free(lots):
    """What found no buyer is a frozen package of its own: it can be listed again, or its cases bundled anew."""
    seller = lots.api.as_(lots.people.seller)
    part = next(one for one in seller.ok("GET", "/packages")["items"] if one["id"] != lots.package_id)
    assert (part["state"], part["origin_id"], part["name"]) == ("frozen", lots.package_id, "分包一期: L3")
    assert (part["header"]["loans"], part["header"]["principal"]) == (5, "25016.65")
    rows = list(csv.DictReader(io.StringIO(seller.get(f"/packages/{part['id']}/tape.csv").text)))
    assert {row["case_key"] for row in rows} == keys("C")
    lots.admit(part["id"])
    opens = lots.clock.now() + timedelta(days=3)
    again = lots.draft(
        part["id"], lots=[{"lot": "L3", "reserve": "4000.00"}], opens_at=format_instant(opens),
        registration_closes_at=format_instant(opens), ends_at=format_instant(opens + timedelta(hours=1)),
    )  # fmt: skip
    lots.cut(again, [{"lot": "L3", "rest": True}])
    assert lots.publish(again)["state"] == "published"
    seller.ok("POST", f"/listings/{again['id']}/withdraw", json={"reason": "later"})
    seller.ok("POST", f"/packages/{part['id']}/cancel", json={"reason": "bundle anew"})
    assert {state for key, state in lots.case_states().items() if key in keys("C")} == {"open"}
    new = seller.ok("POST", "/packages", 201, json={"name": "新包", "filter": {}})
    frozen = seller.ok("POST", f"/packages/{new['id']}/freeze", json={"cut_off_on": "2026-01-31"})
    assert frozen["header"]["loans"] == 5


def test_a_winner_that_fails_lets_its_lot_go_and_the_other_is_settled(lots) -> None:
    sold(lots)
    lots.settle("buyer")
    award = next(row for row in awards_of(lots) if row["lots"] == ["L2"])
    body = {"reason": "never came", "cause": "buyer_defaulted"}
    lots.api.as_(lots.people.compliance).ok("POST", f"/awards/{award['id']}/fail", json=body)
    lots.work()
    assert lots.package(lots.package_id)["state"] == "sold"
    packages = lots.api.as_(lots.people.seller).ok("GET", "/packages")["items"]
    assert [one["name"] for one in packages if one["state"] == "frozen"] == ["分包一期: L2, L3", "分包一期: L3"]
    states = lots.case_states()
    assert {key for key, state in states.items() if state == "sold"} == keys("A")
    part = next(one for one in packages if one["header"]["loans"] == 5 and "L2" in one["name"])
    check_defaulter_is_barred(lots, part)


def check_defaulter_is_barred(lots, part):
    lots.admit(part["id"])
    opens = format_instant(lots.clock.now() + timedelta(days=3))
    again = lots.draft(
        part["id"], lots=[{"lot": "L2", "reserve": "4000.00"}], opens_at=opens, registration_closes_at=opens,
        ends_at=format_instant(lots.clock.now() + timedelta(days=4)),
    )  # fmt: skip
    lots.cut(again, [{"lot": "L2", "rest": True}])
    again = lots.publish(again)
    answer = lots.api.as_(lots.people.other_buyer).post(f"/listings/{again['id']}/registrations")
    assert (answer.status_code, answer.get_json()["code"]) == (403, "barred_after_default")
    lots.api.as_(lots.people.third_buyer).ok("POST", f"/listings/{again['id']}/registrations", 201)


def awards_of(lots):
    return lots.api.as_(lots.people.auditor).ok("GET", "/awards")["items"]


def test_when_every_winner_fails_the_package_is_dissolved(lots) -> None:
    sold(lots)
    for award in awards_of(lots):
        body = {"reason": "never came", "cause": "buyer_defaulted"}
        lots.api.as_(lots.people.compliance).ok("POST", f"/awards/{award['id']}/fail", json=body)
        lots.work()
    assert lots.package(lots.package_id)["state"] == "cancelled"
    assert set(lots.case_states().values()) == {"bundled"}
    packages = lots.api.as_(lots.people.seller).ok("GET", "/packages")["items"]
    assert sum(one["header"]["loans"] for one in packages if one["state"] == "frozen") == len(ROWS)


def test_without_a_bid_the_package_stays_whole_and_is_listed_again(lots) -> None:
    listing, shares = published(lots)
    assert lots.open(listing, shares)["outcome"] == "unsold"
    assert lots.package(lots.package_id)["state"] == "frozen"
    again = lots.draft(lots.package_id)
    assert (again["attempt"], lots.missing(again) & {"lots_without_cases"}) == (2, {"lots_without_cases"})
    lots.cut(again)
    assert "lots_without_cases" not in lots.missing(again)


def test_lots_are_complete_before_they_are_published(lots) -> None:
    listing = lots.draft(lots.package_id)
    assert lots.missing(listing) == {"lots_without_cases", "cases_outside_lots"}
    lots.cut(listing, [*CUTS[:2], {"lot": "L4", "case_keys": ["C1"]}])
    assert lots.missing(listing) == {"lots_without_cases", "lots_unknown", "cases_outside_lots"}
    lots.cut(listing, [*CUTS[:2], {"lot": "L3", "case_keys": ["C1", "C2"]}])
    assert lots.missing(listing) == {"cases_outside_lots"}
    lots.cut(listing, [*CUTS[:2], {"lot": "L3", "case_keys": ["C1", "C2"]}], rest_not_for_sale=True)
    assert lots.missing(listing) == set()
    lots.publish(listing)
    assert lots.cut(listing, status=409)["code"] == "lots_fixed"


def test_a_cut_that_cannot_be_names_every_fault(lots) -> None:
    listing = lots.draft(lots.package_id)
    wrong = [
        {"lot": "L1", "filter": {"days_past_due_min": 300}},
        {"lot": "L2", "case_keys": ["B1", "B1", "Z9"]},
        {"lot": "L3", "filter": {"amount_min": cny("99999.00")}},
    ]
    refused = lots.cut(listing, wrong, 422)
    assert refused["code"] == "bad_lots"
    found = {fault["code"] for fault in refused["errors"]}
    assert found == {"lots_overlap", "lot_empty", "unknown_case_keys", "case_key_twice"}
    twice = lots.cut(listing, [{"lot": "L1", "rest": True}, {"lot": "L1", "rest": True}], 422)
    assert {fault["code"] for fault in twice["errors"]} >= {"lot_twice", "rest_twice"}
    assert lots.cut(listing, [{"lot": "L1"}], 422)["code"] == "request_invalid"
    dollars = {"amount_min": {"amount": "1.00", "currency": "USD"}}
    foreign = lots.cut(listing, [{"lot": "L1", "filter": dollars}], 422)
    assert foreign["errors"][0]["pointer"] == "/lots/0/filter/amount_min"


def test_lots_by_file_and_what_outsiders_see_of_them(lots) -> None:
    listing = lots.draft(lots.package_id)
    client = lots.api.as_(lots.people.seller)
    body = "lot,case_key\n" + "".join(f"L{1 if key < 'B' else 2 if key < 'C2' else 3},{key}\n" for key, *_ in ROWS)
    version = client.get(f"/listings/{listing['id']}").headers["ETag"]

    def send(text, version=version):
        data = {"file": (io.BytesIO(text.encode()), "lots.csv")}
        return client.post(f"/listings/{listing['id']}/lots/file", data=data, headers={"If-Match": version})

    assert send("lot;case\n").get_json()["code"] == "lots_file_unreadable"
    assert send("lot,case_key\nL1\n").get_json()["code"] == "lots_file_unreadable"
    assert send(body, '"99"').status_code == 412
    answer = send(body)
    assert answer.status_code == 200, answer.text
    shown = answer.get_json()["lots"]
    assert [(lot["lot"], lot["loans"], lot["reserve"]["amount"]) for lot in shown] == [
        ("L1", 6, "5000.00"), ("L2", 6, "3000.00"), ("L3", 4, "9000.00")
    ]  # fmt: skip
    assert sum(int(lot["principal"]["amount"].replace(".", "")) for lot in shown) == sum(
        principal * 100 + 33 for _, _, principal, *_ in ROWS
    )
    lots.publish(listing)
    outside = lots.api.as_(lots.people.buyer)
    hidden = {lot["lot"]: lot["withheld"] for lot in outside.ok("GET", f"/listings/{listing['id']}/lots")["lots"]}
    assert hidden == {"L1": True, "L2": False, "L3": True}
    rows = list(csv.DictReader(io.StringIO(outside.get(f"/listings/{listing['id']}/lots.csv").text)))
    assert [row["lot"] for row in rows] == ["L1"] * 6 + ["L2"] * 6 + ["L3"] * 4
    assert set(rows[0]) == {"number", "lot"}
    announced = outside.ok("GET", f"/listings/{listing['id']}/announcements")["items"][0]["document"]
    assert [lot["cases_hash"] for lot in announced["lots"]] == [lot["cases_hash"] for lot in shown]
    own = list(csv.DictReader(io.StringIO(client.get(f"/listings/{listing['id']}/lots.csv").text)))
    assert [row["case_key"] for row in own] == sorted(key for key, *_ in ROWS)


def test_the_pages_of_a_sale_in_lots(lots, app) -> None:
    """The result names each lot's winner and what found none, gives deadlines to those concerned, and the papers."""
    listing, _ = sold(lots)
    path = f"/auctions/{listing['auction_id']}/result"
    for who, language, there, absent in (
        (lots.people.seller, "en", ("L1", "L2", "Without a buyer:", "L3", "Contract until", "share given"), ()),
        (lots.people.third_buyer, "zh", ("L1", "未成交：", "竞价记录（PDF）", "已交密钥份额"), ("确认书、合同及期限",)),
    ):
        client = app.test_client()
        client.set_cookie(http.COOKIE, who.token)
        client.set_cookie("lang", language)
        page = client.get(path)
        assert page.status_code == 200
        assert [word for word in there if word not in page.text] == []
        assert [word for word in absent if word in page.text] == []
        protocol = client.get(f"/api/v1/auctions/{listing['auction_id']}/protocol.pdf?language={language}")
        assert protocol.data.startswith(b"%PDF")


def test_a_deposit_one_cent_short_is_not_covered(lots) -> None:
    listing = lots.draft(lots.package_id)
    lots.cut(listing)
    listing = lots.publish(listing)
    lots.collect(listing["auction_id"])
    buyer = lots.api.as_(lots.people.buyer)
    row = buyer.ok("POST", f"/listings/{listing['id']}/registrations", 201)
    lots.api.as_(lots.people.compliance).ok("POST", f"/registrations/{row['id']}/approve")
    lots.statement((DEPOSIT - 1, f"保证金 {row['reference']}", "buyer"))
    lots.stage.at(OPENS + timedelta(minutes=1))
    with lots.sessions.begin() as session:
        session.connection().exec_driver_sql("UPDATE user_sessions SET expires_at = expires_at + interval '90 days'")
    assert lots.bid(listing, "buyer", "30000.00", "L1").get_json()["code"] == "deposit_not_held"
    lots.statement((1, f"保证金 {row['reference']}", "buyer"))
    assert lots.bid(listing, "buyer", "30000.00", "L1").status_code == 201
