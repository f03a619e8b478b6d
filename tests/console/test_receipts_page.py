"""A bidder's receipts: listed, checked in place, downloaded; refused ones brought; one changed character found."""

import io
import json

import pytest

from tests.console.test_sale_pages import ok


@pytest.fixture
def bids(sale, people):
    """Three accepted bids and a refused one; the buyer has two accepted receipts and the refusal."""
    sale.open()
    refused = refusal(sale, people.buyer, "1.00")
    sale.bid_up()
    return sale, refused


def refusal(sale, who, amount):
    path = f"/auctions/{sale.listing['auction_id']}/bids"
    answer = sale.market.api.as_(who).post(path, json={"amount": {"amount": amount, "currency": "CNY"}})
    assert answer.status_code == 409
    return answer.get_json()


def path_of(sale):
    return f"/auctions/{sale.listing['auction_id']}/receipts"


def check(visitor, sale, document):
    text = document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)
    return visitor.post(path_of(sale), data={"text": text}, headers={"Origin": "http://localhost"})


def test_own_receipts_are_listed_checked_and_nobody_elses(bids, people, visit):
    sale, _ = bids
    page = ok(visit(people.buyer).get(path_of(sale)), "600,000.00", "801,234.56", "accepted", "right")
    assert "780,000.00" not in page
    assert page.count('class="state good">right') == 4
    ok(visit(people.other_buyer, "zh").get(path_of(sale)), "您在本场没有被接受的出价")
    assert visit(people.seller).get(path_of(sale)).status_code == 403
    link = f'href="{path_of(sale)}"'
    assert link in visit(people.buyer).get(f"/auctions/{sale.listing['auction_id']}").text
    assert link not in visit(people.seller).get(f"/auctions/{sale.listing['auction_id']}").text


def test_a_refusal_is_a_receipt_and_a_changed_one_is_found(bids, people, visit):
    sale, refused = bids
    visitor = visit(people.buyer)
    ok(check(visitor, sale, refused), "1 receipt holds", "refused", "Below the start price", "no entry of the log")
    refused["receipt"]["receipt"]["event"]["amount"] = "2.00"
    ok(check(visitor, sale, refused), "1 receipt does not hold", "does not lead to a root")
    ok(check(visit(people.buyer, "zh"), sale, refused), "1 份回执核验不符", "请保留文件")


def test_the_download_holds_and_each_flipped_word_of_it_does_not(bids, people, visit, api):
    sale, refused = bids
    visitor = visit(people.buyer)
    answer = api.as_(people.buyer).get(f"/auctions/{sale.listing['auction_id']}/receipts.json")
    assert answer.status_code == 200
    download = answer.get_json()
    assert [row["receipt"]["event"]["amount"] for row in download["receipts"]] == ["801234.56", "600000.00"]
    file = {"file": (io.BytesIO(answer.data), "receipts.json")}
    ok(visitor.post(path_of(sale), data=file, headers={"Origin": "http://localhost"}), "2 receipts hold")
    newest = download["receipts"][0]
    for name, value in (("price", "801234.57"), ("head", newest["receipt"]["rules_hash"]), ("nonce", "0" * 32)):
        forged = {**newest, "receipt": {**newest["receipt"], name: value}}
        ok(check(visitor, sale, forged), "1 receipt does not hold", "not asked")
    assert refused["receipt"]["receipt"]["head"] is None


def test_a_receipt_of_an_entry_that_the_log_does_not_have_is_found(bids, people, visit, sessions):
    from sqlalchemy import text

    sale, _ = bids
    before = visit(people.buyer)
    receipt = json.loads(sale.market.api.as_(people.buyer).get(f"{path_of(sale)}.json").data)["receipts"][0]
    with sessions.begin() as session:
        session.execute(text("SET LOCAL session_replication_role = replica"))
        session.execute(text("UPDATE auction_events SET hash = decode(repeat('00', 32), 'hex') WHERE number = 2"))
    ok(check(before, sale, receipt), "1 receipt does not hold", "another head before it")
    with sessions.begin() as session:
        session.execute(text("SET LOCAL session_replication_role = replica"))
        session.execute(text("DELETE FROM auction_events WHERE number = 3"))
    ok(check(before, sale, receipt), "the log has no entry of this attempt")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Choose a file"), ("nothing", "no JSON"), ("[]", "There is no receipt in it"), ("{}", "no receipt in it"),
        ('{"signature": 7}', "copy the whole document"), ('{"signature": "AA==", "receipt": {}}', "copy the whole"),
        ('{"a": 1, "a": 2}', "twice in one object"), ("[" * 40 + "]" * 40, "nesting too deep"),
    ],
)  # fmt: skip
def test_what_is_no_receipt_is_told_so(bids, people, visit, text, said):
    sale, _ = bids
    answer = check(visit(people.buyer), sale, text)
    assert answer.status_code == 422
    assert said in answer.text


def test_the_routes_say_the_same(bids, people, api):
    sale, refused = bids
    path = f"/auctions/{sale.listing['auction_id']}/receipts"
    listed = api.as_(people.buyer).ok("GET", path)["items"]
    assert [(row["amount"]["amount"], row["holds"], row["checks"]["log"]) for row in listed] == [
        ("801234.56", True, "right"), ("600000.00", True, "right"),
    ]  # fmt: skip
    one = api.as_(people.buyer).ok("GET", path, query_string={"limit": 1})
    rest = api.as_(people.buyer).ok("GET", path, query_string={"limit": 1, "cursor": one["next"]})
    assert [*one["items"], *rest["items"]] == listed
    assert rest["next"] is None
    body = {"receipts": [refused, listed[0]["receipt"]]}
    checked = api.as_(people.auditor).ok("POST", f"{path}/check", json=body)["items"]
    assert [(row["accepted"], row["code"], row["checks"]["log"]) for row in checked] == [
        (False, "below_start", "not_in_log"), (True, None, "right"),
    ]  # fmt: skip
