"""Signing in and out, over HTTP: tokens, cookies, their end, and what happens to those who guess."""

import threading
from collections import Counter

import pytest
from sqlalchemy import select

from marketplace import direct
from marketplace.crypto import token_hash
from marketplace.parties import models, passwords, service
from tests.people import PASSWORD

NEW = "another horse, another battery"


def sign_in(api, login, password=PASSWORD):
    return api.post("/sessions", json={"login": login, "password": password})


def test_a_session_says_who_one_is(api, people, sessions):
    answer = sign_in(api, " Seller ")
    assert answer.status_code == 201
    signed_in = answer.get_json()
    assert signed_in["expires_at"] == "2026-03-02T21:00:00.000Z"
    assert signed_in["actor"] == api.as_(signed_in["token"]).ok("GET", "/me")
    assert signed_in["actor"] == {
        "user_id": str(people.seller.user_id),
        "api_key_id": None,
        "name": "Seller",
        "organisation_id": str(people.seller.organisation_id),
        "organisation_kind": "seller",
        "roles": ["seller_manager"],
        "scopes": ["bid", "read", "write"],
    }
    with sessions() as session:
        kept = session.scalars(
            select(models.UserSession).where(models.UserSession.token_hash == token_hash(signed_in["token"]))
        ).one()
        assert signed_in["token"].encode() not in kept.token_hash


def test_the_cookie_is_for_this_site_and_not_for_scripts(app, people):
    browser = app.test_client()
    answer = browser.post("/api/v1/sessions", json={"login": "buyer", "password": PASSWORD})
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("session=nps_")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Max-Age=43200" in cookie
    assert browser.get("/api/v1/me").get_json()["user_id"] == str(people.buyer.user_id)
    ended = browser.delete("/api/v1/sessions/current")
    assert ended.status_code == 204
    assert "Max-Age=0" in ended.headers["Set-Cookie"]
    browser.set_cookie("session", cookie.split(";")[0].removeprefix("session="))
    assert browser.get("/api/v1/me").status_code == 401


def test_the_cookie_is_secure_where_the_site_is(app, people, running, monkeypatch):
    object.__setattr__(running.settings, "secure_cookies", True)
    answer = app.test_client().post("/api/v1/sessions", json={"login": "buyer", "password": PASSWORD})
    assert "Secure" in answer.headers["Set-Cookie"]


def test_a_session_ends_after_twelve_hours_whatever_happens(api, people, clock):
    token = sign_in(api, "buyer").get_json()["token"]
    clock.advance(hours=11, minutes=59, seconds=59, milliseconds=999)
    assert api.as_(token).get("/me").status_code == 200
    clock.advance(milliseconds=1)
    answer = api.as_(token).get("/me")
    assert answer.status_code == 401
    assert answer.get_json()["code"] == "not_signed_in"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_signing_out_ends_this_session_only(api, people):
    first, second = (sign_in(api, "buyer").get_json()["token"] for _ in range(2))
    assert api.as_(first).delete("/sessions/current").status_code == 204
    assert api.as_(first).get("/me").status_code == 401
    assert api.as_(first).delete("/sessions/current").status_code == 401
    assert api.as_(second).get("/me").status_code == 200


def _without_place(problem):
    return {key: value for key, value in problem.items() if key != "instance"}


def test_unknown_and_wrong_and_ended_read_alike_and_take_the_same_work(api, people, monkeypatch):
    api.as_(people.seller).ok("POST", f"/users/{people.seller_agent.user_id}/disable", json={"reason": "left"})
    verified = []

    class Counting:
        def verify(self, password_hash, password):
            verified.append(password_hash)
            return hasher.verify(password_hash, password)

        def __getattr__(self, name):
            return getattr(hasher, name)

    hasher = passwords._HASHER
    monkeypatch.setattr(passwords, "_HASHER", Counting())
    attempts = [
        ("nobody", PASSWORD),
        ("buyer", "wrong horse battery staple"),
        ("seller-agent", PASSWORD),
        ("'; --", "x"),
    ]
    answers = [sign_in(api, *attempt) for attempt in attempts]
    assert [answer.status_code for answer in answers] == [401] * 4
    assert len({str(answer.get_json()) for answer in answers}) == 1
    assert answers[0].get_json()["code"] == "sign_in_failed"
    assert len(verified) == len(attempts)
    assert all(text.split("$")[:4] == verified[0].split("$")[:4] for text in verified)


def test_an_organisation_that_is_not_active_does_not_sign_in(api, people):
    admin, organisation = api.as_(people.admin), people.buyer.organisation_id
    admin.ok("POST", f"/organisations/{organisation}/suspend", json={"reason": "licence under review"})
    assert sign_in(api, "buyer").status_code == 401
    admin.ok("POST", f"/organisations/{organisation}/reinstate")
    assert sign_in(api, "buyer").status_code == 201


def test_guessing_one_login_from_one_address_is_stopped_and_forgiven(api, people, clock):
    for _ in range(10):
        assert sign_in(api, "buyer", "wrong horse battery staple").status_code == 401
    stopped = sign_in(api, "buyer")
    assert stopped.status_code == 429
    assert stopped.get_json()["code"] == "too_many_sign_ins"
    assert sign_in(api, "Buyer ").status_code == 429
    assert sign_in(api, "seller").status_code == 201
    clock.advance(minutes=15)
    assert sign_in(api, "buyer").status_code == 201


def test_a_stranger_elsewhere_does_not_lock_the_user_out(app, people):
    def attempt(address, login, password):
        body = {"login": login, "password": password}
        return app.test_client().post("/api/v1/sessions", json=body, environ_base={"REMOTE_ADDR": address}).status_code

    assert [attempt("203.0.113.7", "buyer", "wrong") for _ in range(12)] == [401] * 10 + [429] * 2
    assert attempt("198.51.100.1", "buyer", PASSWORD) == 201


def test_one_address_trying_many_logins_is_stopped(people, session, clock):
    def attempt(login, address):
        return service.sign_in(session, login=login, password="x", address=address, at=clock.now(), limits=limits)

    limits = service.SignInLimits(address=3)
    for number in range(3):
        attempt(f"somebody{number}", "203.0.113.7")
    with pytest.raises(service.TooManySignIns):
        attempt("somebody4", "203.0.113.7")
    attempt("somebody4", "203.0.113.8")


def test_guesses_at_the_same_instant_are_counted_one_by_one(app, people):
    """Twelve connections at once: ten are heard, two are stopped, as if they had come one after the other."""
    found, barrier = Counter(), threading.Barrier(6)

    def guess():
        barrier.wait()
        for _ in range(2):
            body = {"login": "buyer", "password": "wrong horse battery staple"}
            found[app.test_client().post("/api/v1/sessions", json=body).status_code] += 1

    threads = [threading.Thread(target=guess) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {401: 10, 429: 2}


def test_changing_ones_password_ends_the_other_sessions(api, people):
    here, there = (sign_in(api, "buyer").get_json()["token"] for _ in range(2))
    change = {"current_password": PASSWORD, "new_password": NEW}
    assert api.as_(here).post("/me/password", json=change).status_code == 204
    assert api.as_(here).get("/me").status_code == 200
    assert api.as_(there).get("/me").status_code == 401
    assert sign_in(api, "buyer").status_code == 401
    assert sign_in(api, "buyer", NEW).status_code == 201


def test_a_password_is_not_changed_without_the_old_one(api, people):
    client = api.as_(people.buyer)
    change = {"current_password": "wrong horse battery staple", "new_password": NEW}
    for _ in range(10):
        answer = client.post("/me/password", json=change)
        assert (answer.status_code, answer.get_json()["code"]) == (401, "sign_in_failed")
    assert client.post("/me/password", json=change | {"current_password": PASSWORD}).status_code == 429
    assert api.as_(people.seller).post("/me/password", json=change).status_code == 401


@pytest.mark.parametrize("new", ["too short", "seller-seller-seller", "aaaaaaaaaaaaaaaaa"])
def test_a_weak_new_password_is_refused_and_the_old_stays(api, people, new):
    answer = api.as_(people.seller).post("/me/password", json={"current_password": PASSWORD, "new_password": new})
    assert answer.status_code == 422
    assert sign_in(api, "seller").status_code == 201


def test_an_old_hash_is_renewed_at_sign_in(api, people, sessions):
    from argon2 import PasswordHasher

    with sessions.begin() as session:
        user = session.get_one(models.User, people.buyer.user_id)
        user.password_hash = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    assert sign_in(api, "buyer").status_code == 201
    with sessions() as session:
        assert not passwords.is_outdated(session.get_one(models.User, people.buyer.user_id).password_hash)
    assert sign_in(api, "buyer").status_code == 201


def test_what_is_no_sign_in_is_refused(api, people):
    bodies = [
        {}, {"login": "buyer"}, {"login": 1, "password": PASSWORD}, {"login": "buyer", "password": None}, [], "buyer",
        {"login": "buyer", "password": PASSWORD, "role": "operator_admin"}, {"login": "b" * 65, "password": "x"},
        {"login": "buyer", "password": "x" * 2000}, {"login": "buyer\u0000", "password": "x"},
    ]  # fmt: skip
    assert [api.post("/sessions", json=body).status_code for body in bodies] == [422] * len(bodies)


def test_who_this_is_takes_one_query_by_its_index(people, sessions, api, clock, monkeypatch):
    issued = api.as_(people.buyer).ok(
        "POST", f"/organisations/{people.buyer.organisation_id}/api-keys", 201,
        json={"name": "k", "roles": ["buyer_bidder"], "scopes": ["bid"], "expires_at": "2026-06-01T00:00:00Z"},
    )  # fmt: skip
    statements = []
    given = direct._Line.ask
    monkeypatch.setattr(direct._Line, "ask", lambda line, *asked: statements.append(asked) or given(line, *asked))
    with sessions() as session:
        session.connection().exec_driver_sql("SET enable_seqscan = off")
        for token, index in (
            (people.buyer.token, "uq_user_sessions_token_hash"),
            (issued["secret"], "uq_api_keys_secret_hash"),
        ):
            statements.clear()
            assert service.authenticate(session, token, at=clock.now())
            assert len(statements) == 1
            plan = session.connection().exec_driver_sql("EXPLAIN " + statements[0][0], statements[0][1])
            assert index in "\n".join(plan.scalars())
        statements.clear()
        assert service.authenticate(session, "eyJhbGciOiJub25lIn0.e30.", at=clock.now()) is None
        assert statements == []


def test_a_lone_surrogate_is_refused(api, people):
    body = b'{"login": "buyer", "password": "\\ud800 twelve characters"}'
    assert api.post("/sessions", data=body, content_type="application/json").status_code == 422
