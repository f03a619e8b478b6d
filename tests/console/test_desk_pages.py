"""Pages on which people decide: notices of assignment, third-party payers, releases, the ceremony, the markets."""

import io
import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from settlement import deposit_life
from tests.console.test_sale_pages import ok

PDF = b"%PDF-1.7 a declaration"
HOME = {"Origin": "http://localhost"}


def post(visitor, path, **form):
    """Send a form of one of our pages."""
    return visitor.post(path, data=form, headers=HOME)


def led(answer):
    """Whether a deed led on to its page; returns the address."""
    assert answer.status_code == 303, answer.text[:800]
    return answer.headers["Location"]


@pytest.fixture
def settled(sale):
    """A settled deal; the loser's deposit is to go back."""
    sale.open().bid_up().close()
    deal = sale.market.settle()
    sale.tick()
    return sale, sale.market.deal() if deal["state"] != "settled" else deal


def test_a_notice_goes_its_way_with_its_proof(settled, people, visit, api):
    sale, deal = settled
    path = f"/deals/{deal['id']}/assignment-notices"
    seller, buyer = visit(people.seller), visit(people.buyer, "zh")
    ok(seller.get(f"/deals/{deal['id']}"), path)
    ok(seller.get(path), "No notice has been written yet", "Write the notices that are missing")
    page = led(post(seller, path, deed="write"))
    ok(seller.get(page), "being written")
    sale.tick()
    shown = ok(seller.get(path), "Written", "Number of the receipt")
    notice = re.search(r'name="notice" value="([0-9a-f-]{36})"', shown)[1]
    refused = post(seller, path, deed="deliver", notice=notice, on="2026-03-05", proof="signed")
    assert refused.status_code == 409
    assert "not possible in its present state" in refused.text
    early = post(seller, path, deed="prove", notice=notice, file=(io.BytesIO(PDF), "x.pdf"))
    assert early.status_code == 409
    led(post(seller, path, deed="send", notice=notice, channel="courier", on="2026-03-04", proof="SF 1"))
    for wrong in ({"on": "2026-03-03", "proof": "x"}, {"on": "", "proof": "x"}, {"on": "2026-03-05", "proof": ""}):
        answer = post(seller, path, deed="deliver", notice=notice, **wrong)
        assert answer.status_code == 422, wrong
    led(post(seller, path, deed="deliver", notice=notice, on="2026-03-05", proof="signed by himself"))
    answer = post(seller, path, deed="prove", notice=notice, file=(io.BytesIO(b"hello"), "x.pdf"))
    assert (answer.status_code, "Choose another file" in answer.text) == (422, True)
    led(post(seller, path, deed="prove", notice=notice, file=(io.BytesIO(PDF), "回执.pdf")))
    delivered = ok(buyer.get(f"{path}?state=delivered"), "已送达", "快递", "signed by himself", "通知书（PDF）")
    assert 'value="send"' not in delivered
    assert post(buyer, path, deed="write").status_code == 403
    read = api.as_(people.buyer).post(f"/assignment-notices/{notice}/proof-paper")
    assert (read.data, read.mimetype) == (PDF, "application/pdf")
    assert api.as_(people.other_buyer).post(f"/assignment-notices/{notice}/proof-paper").status_code == 404
    csv = api.as_(people.seller).get(f"/deals/{deal['id']}/assignment-notices/export.csv").data.decode()
    assert csv.startswith("case,kind,state,written,channel,sent_on,delivered_on,proof,proof_kept\n")
    assert "delivered," in csv
    assert ",courier,2026-03-04,2026-03-05,signed by himself,yes\n" in csv
    assert api.as_(people.seller).get(f"/deals/{deal['id']}/assignment-notices/export.xlsx").data[:2] == b"PK"
    assert visit(people.other_seller).get(path).status_code == 404


@pytest.fixture
def paid_by_another(sale, people):
    """A deposit that somebody else than the registered buyer paid; its reference."""
    market, opens_at = sale.market, datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    sale.at(sale.clock.at)
    package = market.package()
    market.open_room(package)
    sale.listing = market.publish(market.draft(package, opens_at=opens_at, ends_at=opens_at + timedelta(hours=1)))
    made = market.api.as_(people.buyer).ok("POST", f"/listings/{sale.listing['id']}/registrations", 201)
    market.api.as_(people.compliance).ok("POST", f"/registrations/{made['id']}/approve")
    market.statement(("50000.00", f"保证金 {made['reference']}", "某某科技"))
    return made["reference"]


QUEUE = "/finance/third-party-payers"


def line_of(page):
    return re.search(r'name="line" value="([0-9a-f-]{36})"', page)[1]


def paper():
    return io.BytesIO(PDF), "声明.pdf"


def test_a_third_party_pays_and_two_persons_accept_it(paid_by_another, people, visit, api):
    finance, admin = visit(people.finance), visit(people.admin)
    line = line_of(ok(finance.get(QUEUE), "某某科技", "50,000.00", "Accept it on a document", "Send it back"))
    ok(visit(people.auditor, "zh").get(QUEUE), "某某科技", "第三方付款")
    assert visit(people.buyer).get(QUEUE).status_code == 403
    about = {"deed": "propose", "line": line, "reference": paid_by_another, "reason": "its parent"}
    empty = post(finance, QUEUE, **about)
    assert (empty.status_code, "Fill in every field" in empty.text) == (422, True)
    assert post(finance, QUEUE, **about | {"reference": "nothing"}, file=paper()).status_code in {404, 409, 422}
    led(post(finance, QUEUE, **about, file=paper()))
    shown = ok(finance.get(QUEUE), "You proposed it", "its parent")
    proposal = re.search(r"/match-proposals/([0-9a-f-]{36})/document", shown)[1]
    same = post(finance, QUEUE, deed="approve", proposal=proposal)
    assert (same.status_code, "Another person" in same.text) == (403, True)
    ok(admin.get(QUEUE), "Turn down", 'value="approve"')
    led(post(admin, QUEUE, deed="approve", proposal=proposal))
    ok(admin.get(f"{QUEUE}?done=approve"), "No payment of a third party waits", "the payment counts")
    (held,) = api.as_(people.buyer).ok("GET", "/deposits")["items"]
    assert held["held"]["amount"] == "50000.00"


def test_a_third_party_is_turned_down_and_its_money_goes_back(paid_by_another, people, visit, api):
    finance, admin = visit(people.finance), visit(people.admin)
    line = line_of(finance.get(QUEUE).text)
    about = {"deed": "propose", "line": line, "reference": paid_by_another, "reason": "its parent"}
    led(post(finance, QUEUE, **about, file=paper()))
    proposal = re.search(r"/match-proposals/([0-9a-f-]{36})/document", finance.get(QUEUE).text)[1]
    assert post(admin, QUEUE, deed="refuse", proposal=proposal).status_code == 422
    led(post(admin, QUEUE, deed="refuse", proposal=proposal, reason="unrelated"))
    assert post(admin, QUEUE, deed="refund", line=line, reason="x").status_code == 422
    led(post(finance, QUEUE, deed="refund", line=line, reason="returned to the sender"))
    ok(finance.get(f"{QUEUE}?done=refund"), "No payment of a third party waits", "The return is proposed")
    (order,) = api.as_(people.finance).ok("GET", "/payment-orders")["items"]
    assert (order["payee_name"], order["purpose"]) == ("某某科技", "unapplied_refund")
    gone = post(finance, QUEUE, deed="refund", line=line, reason="again")
    assert (gone.status_code, "open any more" in gone.text) == (409, True)


def test_releases_are_listed_with_their_deadlines_and_alerts(settled, people, visit, api, clock, sessions):
    path, finance = "/finance/releases", visit(people.finance)
    ok(finance.get("/finance"), "1 deposit is to go back", "Nothing waits.")
    ok(finance.get(path), "金投资产", "payment order proposed", "No release was ever late")
    clock.at += timedelta(days=10)
    with sessions.begin() as session:
        session.execute(text("UPDATE user_sessions SET expires_at = expires_at + interval '400 days'"))
        assert len(deposit_life.watch(session, clock.at)) == 1
    ok(visit(people.auditor, "zh").get(path), "逾期", "尚未退还")
    ok(finance.get("/finance"), "overdue: 1")
    assert visit(people.seller).get(path).status_code == 403
    csv = api.as_(people.finance).get("/deposit-releases/export.csv").data.decode()
    head, row = csv.splitlines()
    assert head == "reference,buyer,amount,currency,due_at,overdue,payment_order"
    assert "金投资产,50000.00,CNY," in row
    assert row.endswith(",yes,proposed")
    assert api.as_(people.finance).get("/deposit-releases/export.xlsx").data[:2] == b"PK"


@pytest.fixture
def sealed(sale, people):
    """A sealed auction announced, an hour before its opening."""
    market, opens_at = sale.market, datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    sale.at(opens_at - timedelta(hours=1))
    package = market.package()
    market.open_room(package)
    draft = market.draft(
        package, format="sealed_first_price", increment=None, opens_at=opens_at, ends_at=opens_at + timedelta(hours=1)
    )
    sale.listing = market.publish(draft)
    return sale, f"/auctions/{sale.listing['auction_id']}/sealing"


def share_of(answer):
    return re.search(r'id="share"[^>]*>(share-1[^<]*)<', ok(answer, "this once"))[1]


def test_the_ceremony_from_collection_to_opening(sealed, people, visit):
    sale, path = sealed
    seller, operator, auditor = visit(people.seller), visit(people.admin), visit(people.auditor)
    ok(visit(people.seller).get(f"/auctions/{sale.listing['auction_id']}"), path)
    assert path not in visit(people.buyer).get(f"/auctions/{sale.listing['auction_id']}").text
    ok(seller.get(path), "Collect the share", "A share was lost")
    assert "A share was lost" not in ok(auditor.get(path), "Collect the share")
    assert "Collect the share" not in ok(visit(people.buyer).get(path), "share not collected")
    old = share_of(post(seller, path, deed="collect"))
    assert old not in seller.get(path).text
    again = post(seller, path, deed="collect")
    assert (again.status_code, "given out already" in again.text) == (409, True)
    led(post(operator, path, deed="renew", reason="the seller lost its share"))
    of_seller, of_operator = (share_of(post(who, path, deed="collect")) for who in (seller, operator))
    early = post(seller, path, deed="submit", share=of_seller)
    assert (early.status_code, "not before" in early.text) == (409, True)
    sale.at(datetime(2026, 3, 2, 12, 30, tzinfo=UTC))
    ok(auditor.get(path), "did not collect its share")
    ok(visit(people.seller, "zh").get(path), "您持有份额")
    sale.at(datetime(2026, 3, 2, 13, 0, tzinfo=UTC))
    for wrong, said in ((old, "not the share that your organisation"), ("share", "is no share")):
        answer = post(seller, path, deed="submit", share=wrong)
        assert (answer.status_code in {409, 422}, said in answer.text) == (True, True), said
    led(post(seller, path, deed="submit", share=of_seller))
    ok(seller.get(path), "Your share is given")
    led(post(operator, path, deed="submit", share=of_operator))
    ok(operator.get(path), "The bids are open")
    assert post(visit(people.buyer), path, deed="collect").status_code == 404


def test_the_markets_are_shown_with_their_sources(people, visit):
    ok(visit(people.valuer).get("/markets"), "SPC rules", "in force", "working day", "/api/v1/presets")
    page = visit(people.buyer, "zh").get("/markets")
    ok(page, "市场规则", "网络司法拍卖", "有效")
    shown = dict(re.findall(r'<span class="code muted">(\w+ \d+)</span> <span class="state[^>]*>([^<]+)<', page.text))
    assert (shown["judicial_cn 1"], shown["judicial_cn 2"]) == ("非现行", "有效")


def test_a_form_of_another_site_does_nothing(sealed, people, visit):
    _, path = sealed
    foreign = visit(people.seller).post(path, data={"deed": "collect"}, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403
    assert post(visit(people.seller), path, deed="steal").status_code == 422
    assert post(visit(people.finance), QUEUE, deed="steal").status_code == 422
