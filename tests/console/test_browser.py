"""A real browser at a real server: the way to a live auction, an honest countdown, a price that moves by itself."""

import asyncio
import contextlib
import dataclasses
import re
import socket
import threading
from datetime import UTC, datetime, timedelta

import pytest
from people import PASSWORD

import feed
from marketplace.clock import SystemClock

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

WIDTHS = {"desktop": (1280, 850), "phone": (390, 844)}
WRONG_CLOCK = "{ const now = Date.now; Date.now = () => now() + 86400000; }"


@pytest.fixture
def clock():
    """The machine's own clock: a browser does not wait for ours."""
    return SystemClock()


@pytest.fixture
def running_auction(market, people):
    """An auction of an hour, one minute old by PostgreSQL's clock, which is set forward and runs on."""
    opens_at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    package = market.package()
    market.open_room(package)
    listing = market.publish(market.draft(package, opens_at=opens_at, ends_at=opens_at + timedelta(hours=1)))
    market.register(listing, people.buyer, people.third_buyer)
    ahead = int((opens_at + timedelta(minutes=1) - datetime.now(UTC)).total_seconds())
    market.auction_clock(f"date_trunc('milliseconds', clock_timestamp()) + interval '{ahead} seconds'")
    market.bid(listing, people.third_buyer, "500000.00")
    return listing


class Watcher:
    """What went on in a page that nobody should see: messages, failures, requests to elsewhere."""

    def __init__(self, page, url):
        self.faults, self.url = [], url
        page.on("console", lambda message: self.faults.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", self.requested)

    def requested(self, request):
        if not request.url.startswith(self.url + "/"):
            self.faults.append(f"a request to {request.url}")


def seconds(text):
    hours, minutes, rest = re.fullmatch(r"(\d\d):(\d\d):(\d\d)", text).groups()
    return int(hours) * 3600 + int(minutes) * 60 + int(rest)


def sign_in(page, url, login):
    page.goto(url + "/")
    page.get_by_label("Login").fill(login)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="What is open for you").wait_for()


def look(page, tmp_path, name):
    """Take pictures at both widths; nothing may stick out on a phone."""
    for device, (width, height) in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        page.screenshot(path=tmp_path / f"{name}-{device}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, device)
    page.set_viewport_size({"width": 1280, "height": 850})


@pytest.mark.slow
def test_the_way_to_a_live_auction(running_auction, market, people, app, browser, serve, tmp_path):
    site = serve(app)
    context = browser.new_context(locale="en-GB", timezone_id="Europe/Berlin")
    context.add_init_script(WRONG_CLOCK)
    page = context.new_page()
    watcher = Watcher(page, site.url)
    sign_in(page, site.url, "buyer")
    look(page, tmp_path, "home")
    page.get_by_role("link", name="Catalogue", exact=True).click()
    look(page, tmp_path, "catalogue")
    page.get_by_role("link", name="Personal loans of Donghai Bank").click()
    look(page, tmp_path, "listing")
    assert "Europe/Berlin" in page.locator("footer").inner_text()
    page.get_by_role("link", name="To the auction").click()
    _the_countdown_is_the_servers(page)
    _the_price_moves_by_itself(page, market, people, running_auction)
    look(page, tmp_path, "live")
    assert watcher.faults == []
    _a_lost_connection_is_said(context, page)
    context.close()


def _the_countdown_is_the_servers(page):
    page.wait_for_selector("#room[data-connection=live]")
    expect(page.locator("#market-time")).to_contain_text("±")
    first = seconds(page.locator("#countdown").inner_text())
    assert 50 * 60 < first < 59 * 60, "by the server's clock, whatever this computer's says"
    page.wait_for_timeout(2100)
    assert 1 <= first - seconds(page.locator("#countdown").inner_text()) <= 15


def _the_price_moves_by_itself(page, market, people, listing):
    assert "500,000.00" in page.locator("#price").inner_text()
    market.bid(listing, people.buyer, "654321.00")
    expect(page.locator("#price")).to_contain_text("654,321.00", timeout=15_000)
    assert "That is you" in page.locator("#leader").inner_text()
    assert "664,321.00" in page.locator("#minimum").inner_text()
    assert page.locator(".ladder tbody tr").count() == 2
    assert "654,321.00" in page.locator("#announcement").inner_text(), "readers of screens hear it"
    assert page.locator(".line-picture circle").count() == 2


def _a_lost_connection_is_said(context, page):
    context.set_offline(True)
    page.wait_for_selector("#room[data-connection=lost]", state="attached", timeout=20_000)
    assert "Connection lost" in page.locator("#connection").inner_text()
    context.set_offline(False)
    page.wait_for_selector("#room[data-connection=live]", state="attached", timeout=20_000)
    assert page.locator("#connection").inner_text() == "Live"


@pytest.fixture
def settings(settings, request):
    """With a feed on a port of this machine, for tests that are marked so."""
    if "feed_port" not in request.fixturenames:
        return settings
    return dataclasses.replace(settings, feed_url=f"http://127.0.0.1:{request.getfixturevalue('feed_port')}")


@pytest.fixture
def feed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def feeding(running, url, port):
    """A feed process for the pages of `url`, in a thread."""
    running = dataclasses.replace(running, settings=dataclasses.replace(running.settings, public_url=url))
    held = {}

    async def run(sock):
        held["loop"], held["stop"] = asyncio.get_running_loop(), asyncio.Event()
        await feed.serve(running, sock, held["stop"])

    thread = threading.Thread(target=lambda: asyncio.run(run(socket.create_server(("127.0.0.1", port)))))
    thread.start()
    try:
        yield
    finally:
        held["loop"].call_soon_threadsafe(held["stop"].set)
        thread.join(10)


@pytest.mark.slow
def test_a_page_hears_from_the_feed_and_asks_again_when_it_is_gone(
    feed_port, running_auction, market, people, running, app, browser, serve
):
    site = serve(app)
    context = browser.new_context(locale="en")
    context.add_cookies([{"name": "session", "value": people.buyer.token, "url": site.url}])
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url) if "/live?seen=" in request.url else None)
    with feeding(running, site.url, feed_port):
        with page.expect_response(lambda answer: answer.url.endswith("/feed")) as heard:
            page.goto(f"{site.url}/auctions/{running_auction['auction_id']}")
        assert heard.value.status == 200
        page.wait_for_timeout(2500)
        asked.clear()
        page.wait_for_timeout(3500)
        assert asked == [], "nothing changed, so nothing is asked"
        market.bid(running_auction, people.buyer, "654321.00")
        expect(page.locator("#price")).to_contain_text("654,321.00", timeout=10_000)
        assert asked
        assert page.locator("#room").get_attribute("data-connection") == "live"
    market.bid(running_auction, people.third_buyer, "700000.00")
    expect(page.locator("#price")).to_contain_text("700,000.00", timeout=10_000)
    context.close()


@pytest.mark.slow
def test_an_ended_session_leads_to_the_form(running_auction, people, app, browser, serve):
    site = serve(app)
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    context.add_cookies([{"name": "session", "value": people.buyer.token, "url": site.url}])
    page.goto(f"{site.url}/auctions/{running_auction['auction_id']}")
    page.wait_for_selector("#room[data-connection=live]")
    context.clear_cookies(name="session")
    page.wait_for_url(re.compile(r"/sign-in\?next=/auctions/"), timeout=15_000)
    assert "登录" in page.inner_text("main")
    context.close()


@pytest.mark.slow
def test_without_scripts_the_page_still_says_everything(running_auction, people, app, browser, serve):
    site = serve(app)
    context = browser.new_context(locale="en", java_script_enabled=False)
    context.add_cookies([{"name": "session", "value": people.auditor.token, "url": site.url}])
    page = context.new_page()
    page.goto(f"{site.url}/auctions/{running_auction['auction_id']}")
    text = page.inner_text("main")
    assert "500,000.00" in text
    assert "Without scripts this page stands still" in text
    context.close()
