"""What sale pages tell beside the figures: lots, the market's rules with sources, the plan, papers, the seal."""

from datetime import UTC, datetime, timedelta

import pytest

from auctions.domain.checks import KINDS
from console.sale import RULES, percent
from marketplace.http import COOKIE
from tests.console.test_browser import Watcher, look

STEPS = {"steps": {"count": 5, "seconds": 60, "drop_rate": "0.05"}}
LOTS = [{"lot": "L1", "reserve": "100.00"}, {"lot": "L2", "reserve": "200.00"}]


def ok(page, *texts):
    assert page.status_code == 200, page.text[:500]
    for text in texts:
        assert text in page.text, text
    return page.text


@pytest.fixture
def lotted(market, people):
    """A package in two lots, announced, the keys of its sealed bids collected."""
    package = market.package()
    market.open_room(package)
    opens = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    draft = market.draft(
        package, format="package", start_price=None, reserve_price=None, increment=None, lots=LOTS,
        unsold_lots_count="nothing", opens_at=opens, ends_at=opens + timedelta(hours=1),
    )  # fmt: skip
    seller = market.api.as_(people.seller)
    cuts = [{"lot": "L1", "filter": {"days_past_due_max": 300}}, {"lot": "L2", "rest": True}]
    version = seller.get(f"/listings/{draft['id']}").headers["ETag"]
    seller.ok("POST", f"/listings/{draft['id']}/lots", json={"lots": cuts}, headers={"If-Match": version})
    return market.publish(draft)


def test_lots_and_the_seal_are_on_the_pages(lotted, market, people, visit):
    for who, language, words in (
        (people.buyer, "en", ("Lots", "L1", "Least price", "calendar.ics", "lots.csv", "Sealed bids on sets of lots")),
        (people.seller, "zh", ("分包标的", "L2", "最低价", "市场规则", "若未成交")),
    ):
        ok(visit(who, language).get(f"/listings/{lotted['id']}"), *words)
    auction = f"/auctions/{lotted['auction_id']}"
    ok(visit(people.buyer).get(auction), "Not opened", "share not collected")
    market.api.as_(people.auditor).ok("POST", f"{auction}/shares/collect", 201)
    ok(visit(people.buyer, "zh").get(auction), "尚未开标", "持有密钥份额")


@pytest.mark.parametrize(
    ("rate", "shown"), [("0.70", "70"), ("0.8", "80"), ("1", "100"), ("0.05", "5"), ("0.125", "12.5"), ("1.00", "100")]
)
def test_shares_are_written_as_percentages(rate, shown):
    assert percent(rate) == shown


def test_every_kind_of_check_has_words():
    assert set(RULES) == set(KINDS)


def test_a_rule_names_its_law_and_the_plan_its_prices(market, people, visit):
    package = market.package()
    market.open_room(package)
    opens = datetime.now(UTC).replace(microsecond=0) + timedelta(days=40)
    plan = {"attempts": [{"format": "english", "start": "0.80"}, {"format": "dutch", "start": "0.5", "terms": STEPS}]}
    listing = market.draft(
        package, preset="judicial_cn", opens_at=opens, ends_at=opens + timedelta(days=1), relisting_plan=plan
    )
    path = f"/listings/{listing['id']}"
    ok(visit(people.seller).get(path), "at least 70% of a valid appraisal", "SPC rules", "Art.", "400,000.00", "50%")
    ok(visit(people.seller, "zh").get(path), "起拍价不低于有效评估价的 70%", "网络司法拍卖", "自首次起拍价的 80% 起")


@pytest.mark.slow
def test_sale_pages_in_a_browser(lotted, market, people, app, browser, serve, tmp_path):
    site = serve(app)
    context = browser.new_context(locale="zh-CN", timezone_id="Asia/Shanghai")
    page = context.new_page()
    watcher = Watcher(page, site.url)
    page.context.add_cookies([{"name": COOKIE, "value": people.seller.token, "url": site.url}])
    for name, path in (("lots", f"/listings/{lotted['id']}"), ("seal", f"/auctions/{lotted['auction_id']}")):
        page.goto(site.url + path)
        look(page, tmp_path, name)
    assert watcher.faults == []
    context.close()
