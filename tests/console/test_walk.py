"""A walk through the console as seller, buyer, valuer and finance: a real browser, both languages, wide and narrow.

Nothing sticks out, nothing is left in English on a Chinese page, every field has a name, every page one heading and a
way on; the keyboard reaches everything, and what has the focus is seen. The pictures stay in the test's folder.
"""

import re
from datetime import UTC, datetime, timedelta

import pytest

from marketplace.http import COOKIE
from tests.console.test_browser import WIDTHS, Watcher

PAGES = {
    "home": "/", "catalogue": "/listings", "nothing": "/listings?q=zzz", "markets": "/markets",
    "gone": "/listings/gone",
    "listing": "/listings/{listing}", "auction": "/auctions/{auction}", "result": "/auctions/{auction}/result",
}  # fmt: skip
OF = {
    "seller": {"deals": "/deals", "deal": "/deals/{deal}", "notices": "/deals/{deal}/assignment-notices",
               "sealing": "/auctions/{sealed}/sealing", "sealed": "/listings/{sealed_listing}"},
    "buyer": {"deals": "/deals", "deal": "/deals/{deal}", "notices": "/deals/{deal}/assignment-notices?state=written",
              "receipts": "/auctions/{auction}/receipts", "sealed": "/auctions/{sealed}"},
    "valuer": {"not for you": "/deals"},
    "finance": {"deals": "/deals", "deal": "/deals/{deal}", "desk": "/finance", "payers": "/finance/third-party-payers",
                "releases": "/finance/releases", "notices": "/deals/{deal}/assignment-notices"},
}  # fmt: skip
LABELLED = """() => [...document.querySelectorAll('input:not([type=hidden]), select, textarea')]
  .filter(one => !one.labels.length && !one.ariaLabel).map(one => one.outerHTML)"""
NAMELESS = """() => [...document.querySelectorAll('a[href], button, summary')]
  .filter(one => !one.textContent.trim() && !one.ariaLabel && !one.querySelector('[alt]:not([alt=""])'))
  .map(one => one.outerHTML)"""
UNSEEN_FOCUS = """() => { const one = document.activeElement, look = getComputedStyle(one);
  return one !== document.body && look.outlineStyle === 'none' && look.boxShadow === 'none' ? one.outerHTML : ''; }"""
ENGLISH = re.compile(r"[A-Za-z]{3,}(?: [A-Za-z]{2,}){2,}")


@pytest.fixture
def world(sale, people):
    """A settled deal with its notices, a payment of a third party, and a sealed auction that is announced."""
    sale.open().bid_up().close()
    market, api = sale.market, sale.market.api
    ids = {"listing": sale.listing["id"], "auction": sale.listing["auction_id"], "deal": market.settle()["id"]}
    api.as_(people.seller).ok("POST", f"/deals/{ids['deal']}/assignment-notices", 202)
    sale.tick()
    opens_at = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)
    again = market.package(rows=120, name="东海银行 2026 年第二期")
    market.open_room(again)
    sealed = market.publish(
        market.draft(again, format="sealed_first_price", increment=None, opens_at=opens_at,
                     ends_at=opens_at + timedelta(hours=1))
    )  # fmt: skip
    made = api.as_(people.buyer).ok("POST", f"/listings/{sealed['id']}/registrations", 201)
    market.statement(("50000.00", f"保证金 {made['reference']}", "某某科技（上海）有限责任公司"))
    return ids | {"sealed": sealed["auction_id"], "sealed_listing": sealed["id"]}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_each_of_four_people_finds_the_way(world, people, app, browser, serve, tmp_path):
    site = serve(app)
    faults = []
    for who, language in ((who, language) for who in OF for language in ("zh", "en")):
        context = browser.new_context(locale={"zh": "zh-CN", "en": "en-GB"}[language], timezone_id="Asia/Shanghai")
        context.add_cookies([{"name": COOKIE, "value": getattr(people, who).token, "url": site.url}])
        page = context.new_page()
        watcher = Watcher(page, site.url)
        for name, path in (PAGES | OF[who]).items():
            page.goto(site.url + path.format(**world))
            faults += [
                f"{who} {language} {name}: {fault}"
                for fault in _faults(page, language, tmp_path, f"{who}-{language}-{name}")
            ]
        faults += [f"{who} {language}: {one}" for one in watcher.faults if " 403 " not in one and " 404 " not in one]
        context.close()
    assert not faults, "\n".join(faults)


def _faults(page, language, folder, name):
    for device, (width, height) in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        page.screenshot(path=folder / f"{name}-{device}.png", full_page=True)
        if page.evaluate("document.documentElement.scrollWidth") > width:
            yield f"sticks out on a {device}"
    if page.locator("h1").count() != 1:
        yield f"{page.locator('h1').count()} main headings"
    yield from (f"a field without a name: {one}" for one in page.evaluate(LABELLED))
    yield from (f"nothing to read on: {one}" for one in page.evaluate(NAMELESS))
    for _ in range(12):
        page.keyboard.press("Tab")
        unseen = page.evaluate(UNSEEN_FOCUS)
        if unseen:
            yield f"the focus is not seen: {unseen}"
    if language == "zh":
        words = page.evaluate("() => { document.querySelectorAll('[lang=en], pre, .code').forEach(one => one.remove());"
                              " return document.body.innerText; }")  # fmt: skip
        yield from (f"left in English: {one}" for one in ENGLISH.findall(words))
