"""Signing in and out at the pages, language and zone, the page of a failure, the headers."""

import pytest
from people import PASSWORD

from console import site as frame
from marketplace import http


def enter(visitor, login="seller", password=PASSWORD, **more):
    return visitor.post("/sign-in", data={"login": login, "password": password, **more.pop("form", {})}, **more)


def test_signing_in_opens_a_session_that_the_api_knows(people, visit, app):
    visitor = visit()
    answer = enter(visitor, login="Seller")
    assert answer.status_code == 303
    assert answer.location == "/"
    cookie = visitor.client.get_cookie(http.COOKIE)
    assert cookie.http_only
    assert cookie.same_site == "Lax"
    assert cookie.max_age == 12 * 3600
    assert visitor.get("/api/v1/me").status_code == 200
    assert visitor.get("/").status_code == 200


def test_a_wrong_password_is_said_kindly_and_counted(people, visit):
    visitor = visit()
    answer = enter(visitor, password="wrong password, really")
    assert answer.status_code == 401
    assert "Login or password is wrong" in answer.text
    assert 'value="seller"' in answer.text
    assert "wrong password, really" not in answer.text
    statuses = [enter(visitor, password="wrong password, really").status_code for _ in range(12)]
    assert 429 in statuses
    assert enter(visitor).status_code == 429, "the right password must wait too"
    assert "failed too often" in enter(visitor).text


@pytest.mark.parametrize(
    ("login", "password", "status"),
    [("", "", 422), ("seller", "", 422), ("sel\x00ler", "x", 401), ("a" * 65, "x", 401), ("seller", "x\x00", 401)],
)
def test_unusable_input_is_answered(people, visit, login, password, status):
    assert enter(visit(), login=login, password=password).status_code == status


def test_a_huge_form_is_refused(people, visit):
    assert enter(visit(), password="x" * 100_000).status_code == 413


@pytest.mark.parametrize(
    ("wish", "onward"),
    [
        ("/listings?q=1", "/listings?q=1"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("/a\r\nSet-Cookie: x=1", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_signing_in_leads_only_to_this_site(people, visit, wish, onward):
    answer = enter(visit(), form={"next": wish})
    assert answer.location == onward


def test_a_form_of_another_site_does_not_sign_in(people, visit):
    visitor = visit()
    answer = enter(visitor, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert visitor.client.get_cookie(http.COOKIE) is None


def test_signing_out_ends_the_session(people, visit):
    visitor = visit(people.seller)
    answer = visitor.post("/sign-out")
    assert answer.status_code == 303
    assert "You are signed out." in visitor.get(answer.location).text
    assert visit(people.seller).get("/").status_code == 303, "the token itself is worthless"


def test_signing_out_takes_a_post_from_this_site(people, visit):
    visitor = visit(people.seller)
    assert visitor.get("/sign-out").status_code == 405
    assert visitor.post("/sign-out", headers={"Origin": "https://evil.example"}).status_code == 403
    assert visitor.get("/").status_code == 200


def test_who_is_not_signed_in_is_led_to_the_form_and_back(people, visit):
    visitor = visit()
    answer = visitor.get("/listings?q=abc")
    assert answer.status_code == 303
    assert answer.location == "/sign-in?next=/listings?q%3Dabc"
    assert 'value="/listings?q=abc"' in visitor.get(answer.location).text


def test_an_ended_session_is_said(people, visit, clock):
    visitor = visit(people.seller)
    clock.advance(hours=13)
    assert "Your session has ended" in visitor.get("/", follow_redirects=True).text


def test_who_is_signed_in_needs_no_form(people, visit):
    assert visit(people.seller).get("/sign-in?next=/listings").location == "/listings"


def test_the_language_is_chosen_remembered_or_the_browsers(app):
    client = app.test_client()
    assert '<html lang="zh">' in client.get("/sign-in", headers={"Accept-Language": "zh-CN,zh;q=0.9"}).text
    assert '<html lang="en">' in client.get("/sign-in", headers={"Accept-Language": "de"}).text
    answer = client.get("/sign-in?lang=zh&next=/listings")
    assert "登录" in answer.text
    assert "?next=%2Flistings&amp;lang=en" in answer.text
    assert "登录" in client.get("/sign-in").text
    assert "Sign in" in client.get("/sign-in?lang=en").text
    assert client.get("/sign-in?lang=xx").status_code == 200


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Shanghai"])
def test_the_zone_is_the_browsers_and_is_stated(app, zone):
    client = app.test_client()
    client.set_cookie("zone", zone)
    assert zone in client.get("/sign-in").text


@pytest.mark.parametrize("zone", ["../../etc/passwd", "Mars/Olympus", "", "Asia", "\N{SNOWMAN}"])
def test_an_unknown_zone_is_the_markets(app, zone):
    client = app.test_client()
    client.set_cookie("zone", zone)
    assert "Asia/Shanghai" in client.get("/sign-in").text


def test_a_missing_page_says_what_to_do(people, visit):
    answer = visit(people.seller).get("/no/such/page")
    assert answer.status_code == 404
    assert "Check the address" in answer.text
    assert "核对网址" in visit(people.seller, "zh").get("/no/such/page").text
    assert visit().get("/no/such/page").status_code == 404


def test_a_fault_of_ours_shows_nothing_of_the_inside(people, visit, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("secret inside")

    monkeypatch.setattr("marketplace.parties.service.sign_in", broken)
    answer = enter(visit())
    assert answer.status_code == 500
    assert "secret inside" not in answer.text
    assert "It was logged" in answer.text


def test_every_page_has_its_headers(people, visit):
    visits = [(people.seller, "/"), (None, "/sign-in"), (people.seller, "/no/such/page"), (None, "/listings")]
    for person, path in visits:
        headers = visit(person).get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "private, no-store"
        assert headers["Content-Language"] == "en"


def test_static_files_are_kept_and_stay_inside(app):
    client = app.test_client()
    answer = client.get(frame.static("console.css"))
    assert answer.status_code == 200
    assert "immutable" in answer.headers["Cache-Control"]
    answer.close()
    assert client.get("/static/../site.py").status_code == 404
    assert client.get("/static/%2e%2e/site.py").status_code == 404
