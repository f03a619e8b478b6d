"""Every page for every role, in both languages: the right status, the right figures, nobody else's."""

import re
import uuid

import pytest

LANGUAGES = ("zh", "en")
ROLES = (
    "admin", "finance", "compliance", "seller", "seller_agent", "other_seller", "buyer", "buyer_analyst", "other_buyer",
    "third_buyer", "valuer", "auditor",
)  # fmt: skip
RESERVE_SPELLINGS = ("777777.77", "777,777.77", "77777777", "77.78万", "777.8K")


def statuses(visit, people, paths, roles=ROLES):
    """Visit every path as every role in both languages; return {(role, path): status}, the same in both."""
    found = {}
    for role in roles:
        for path in paths:
            pages = [visit(getattr(people, role), language).get(path) for language in LANGUAGES]
            for language, page in zip(LANGUAGES, pages, strict=True):
                assert page.status_code < 500, (role, path, page.text)
                assert page.headers.get("Content-Language", language) == language
                assert not any(spelling in page.text for spelling in RESERVE_SPELLINGS), (role, path)
            assert pages[0].status_code == pages[1].status_code
            found[role, path] = pages[0].status_code
    return found


def test_nobody_sees_a_page_without_signing_in(people, visit):
    some = uuid.uuid4()
    for path in ("/", "/listings", f"/listings/{some}", f"/auctions/{some}", f"/auctions/{some}/live", "/deals"):
        answer = visit().get(path)
        assert answer.status_code == 303
        assert answer.location.startswith("/sign-in?next=")


def test_an_empty_market_says_so(people, visit):
    assert set(statuses(visit, people, ["/", "/listings"]).values()) == {200}
    assert "Nothing is for sale yet." in visit(people.buyer).get("/listings").text
    assert "You have not applied to a listing yet." in visit(people.buyer).get("/").text
    assert "No deal yet." in visit(people.auditor).get("/deals").text


def test_deals_are_not_for_valuers(people, visit):
    answer = visit(people.valuer).get("/deals")
    assert answer.status_code == 403
    assert "Your role does not include this page." in answer.text
    assert "/deals" not in visit(people.valuer).get("/").text


@pytest.mark.parametrize(
    "path",
    ["/listings/{}", "/auctions/{}", "/auctions/{}/live", "/auctions/{}/result", "/deals/{}", "/cases/{}/money-trail"],
)
def test_what_is_not_there_is_not_found(people, visit, path):
    for role in ("buyer", "seller", "auditor"):
        assert visit(getattr(people, role)).get(path.format(uuid.uuid4())).status_code == 404
        assert visit(getattr(people, role)).get(path.format("not-an-id")).status_code == 404


def test_strange_queries_are_answered(people, visit):
    visitor = visit(people.buyer)
    for query in ("?cursor=nonsense", "?q=%00", "?q=" + "x" * 3000, "?q=%F0%9F%92%A9", "?lang=xx&zz=1", "?q='--"):
        assert visitor.get("/listings" + query).status_code in {200, 422}
    assert "Nothing was changed." in visitor.get("/listings?cursor=nonsense").text


def test_while_the_auction_runs(sale, people, visit):
    sale.open().bid_up()
    listing, auction = f"/listings/{sale.listing['id']}", f"/auctions/{sale.listing['auction_id']}"
    paths = ["/", "/listings", listing, auction, f"{auction}/live"]
    assert set(statuses(visit, people, paths).values()) == {200}
    assert statuses(visit, people, [f"{auction}/result"], ("buyer", "auditor")) == dict.fromkeys(
        [("buyer", f"{auction}/result"), ("auditor", f"{auction}/result")], 303
    )
    _shows_the_listing(sale, people, visit, listing)
    _shows_codes_and_one_s_own(sale, people, visit, auction)
    _is_found(people, visit)
    _hides_a_draft(sale, people, visit)
    _answers_only_what_changed(people, visit, auction)


def _shows_the_listing(sale, people, visit, path):
    header = sale.package["header"]
    page = visit(people.other_buyer).get(path).text
    whole, fraction = header["principal_and_interest"].split(".")
    assert f"{int(whole):,}.{fraction}" in page
    assert "500,000.00" in page
    assert "You have not applied to this listing." in page
    assert "2026-03-02 21:02:00" in page, "the end after the soft close, in Shanghai"
    assert "extended 1 time" in page
    assert "sha256:" in page, "the commitment of the reserve"
    chinese = visit(people.other_buyer, "zh").get(path).text
    for item in (
        "交易基准日",
        "未偿本金总额",
        "加权平均逾期天数",
        "五级分类情况",
        "诉讼情况概述",
        "加价幅度",
        "起始价",
    ):
        assert item in chinese
    own = visit(people.buyer).get(path).text
    assert "DP-" in own
    assert "you can bid while the auction is open" in own
    for stranger in (people.other_buyer, people.seller, people.other_seller):
        assert "DP-" not in visit(stranger).get(path).text, "a deposit reference is its owner's"


def _shows_codes_and_one_s_own(sale, people, visit, path):
    bids = sale.market.api.as_(people.auditor).ok("GET", f"{path}/bids")["items"]
    winner, second = bids[0]["bidder"], bids[1]["bidder"]
    for role in ("buyer", "third_buyer", "other_buyer", "seller", "auditor"):
        page = visit(getattr(people, role)).get(path).text
        assert winner in page
        assert second in page
        assert "华信资产" not in page, "who stands behind a code is not told while the auction runs"
        assert "浙江地方资产" not in page
        assert page.count("801,234.56") >= 2
        assert ("That is you" in page) == (role == "buyer")
        assert ("You only watch" in page) == (role not in {"buyer", "third_buyer"})
    assert 'class="own"' in visit(people.third_buyer).get(path).text
    assert "811,234.56" in page, "the minimum next bid"
    assert "moved the end" in page


def _is_found(people, visit):
    assert "Personal loans of Donghai Bank" in visit(people.buyer).get("/listings?q=个人贷款").text
    assert "1 listing for" in visit(people.buyer).get("/listings?q=donghai").text
    nothing = visit(people.buyer).get("/listings?q=<script>alert(1)</script>").text
    assert "No listing has all of these words." in nothing
    assert "<script>alert" not in nothing


def _hides_a_draft(sale, people, visit):
    draft = sale.market.draft(
        sale.package, opens_at=sale.clock.at, ends_at=sale.clock.at, title_zh="尚未公告", title_en="Not yet announced"
    )
    for role in ("buyer", "other_seller", "valuer"):
        visitor = visit(getattr(people, role))
        assert visitor.get(f"/listings/{draft['id']}").status_code == 404
        assert "Not yet announced" not in visitor.get("/listings").text + visitor.get("/").text
    for role in ("seller", "auditor"):
        assert "Not yet announced" in visit(getattr(people, role)).get(f"/listings/{draft['id']}").text


def _answers_only_what_changed(people, visit, path):
    visitor = visit(people.buyer)
    whole = visitor.get(f"{path}/live")
    version = re.search(r'data-version="([0-9a-f]+)"', whole.text).group(1)
    assert "<html" not in whole.text
    again = visitor.get(f"{path}/live?seen={version}")
    assert again.status_code == 204
    assert again.headers["Market-Time"] == whole.headers["Market-Time"]
    assert int(again.headers["Market-Time"]) == 1772456220000, "12:57:00Z, the clock of the bids"
    assert visitor.get(f"{path}/live?seen=other").status_code == 200


def test_after_the_sale(sale, people, visit):
    sale.open().bid_up().close()
    deal = sale.market.settle()
    shares = sale.market.api.as_(people.auditor).ok("GET", f"/deals/{deal['id']}/allocations")["items"]
    result, one = f"/auctions/{sale.listing['auction_id']}/result", f"/deals/{deal['id']}"
    trail = f"/cases/{shares[0]['case_id']}/money-trail"
    assert set(statuses(visit, people, [result, "/"]).values()) == {200}
    inside = {"admin", "finance", "compliance", "seller", "seller_agent", "buyer", "buyer_analyst", "auditor"}
    for (role, path), status in statuses(visit, people, [one, trail]).items():
        assert status == (200 if role in inside else 403 if role == "valuer" else 404), (role, path)
    _shows_the_result(people, visit, result)
    _lists_deals_of_the_parties(people, visit, deal)
    _reconciles(people, visit, one, deal)
    _traces(people, visit, trail, deal, shares[0])


def _shows_the_result(people, visit, path):
    page = visit(people.other_buyer).get(path).text
    assert "801,234.56" in page
    assert "华信资产" not in page
    assert "华信资产" in visit(people.buyer).get(path).text
    assert "华信资产" in visit(people.seller).get(path).text
    assert "浙江地方资产" not in visit(people.buyer).get(path).text, "the runner-up stays a code for the winner"


def _lists_deals_of_the_parties(people, visit, deal):
    for role in ("seller", "buyer", "auditor", "finance"):
        assert deal["reference"] in visit(getattr(people, role)).get("/deals").text
    for role in ("other_seller", "third_buyer", "other_buyer"):
        assert deal["reference"] not in visit(getattr(people, role)).get("/deals").text


def _reconciles(people, visit, path, deal):
    page = visit(people.finance).get(path).text
    assert "Everything agrees" in page
    assert "Received by the bank" in page
    assert deal["net"]["amount"].split(".")[1] in page
    assert "核对一致" in visit(people.auditor, "zh").get(path).text
    party = visit(people.buyer).get(path).text
    assert "Received by the bank" not in party, "the books of the market are finance's and the auditor's"
    assert "Sum over the cases" in party


def _traces(people, visit, path, deal, share):
    page = visit(people.auditor).get(path).text
    for text in (deal["reference"], share["case_key"], "50,000.00", "751,234.56", "801,234.56", "B000100", "B000200"):
        assert text in page, text
    assert "华信资产</p>" in page, "the auditor sees who paid"
    assert "华信资产</p>" not in visit(people.seller).get(path).text, "the seller does not see the buyer's bank details"


def test_a_case_without_a_sale_has_an_empty_trail(market, people, visit):
    market.package(rows=5)
    cases = market.api.as_(people.seller).ok("GET", "/cases")["items"]
    path = f"/cases/{cases[0]['id']}/money-trail"
    assert "No money has reached this case yet." in visit(people.seller).get(path).text
    assert visit(people.other_seller).get(path).status_code == 404
    assert visit(people.buyer).get(path).status_code == 404
