"""The edge: one transaction a request, failures as problem documents, idempotency, strict bodies."""

import threading
import uuid
from dataclasses import replace

import marshmallow as ma
import pytest
from flask import request
from sqlalchemy import func, select, text

from marketplace import app as application
from marketplace import fields, http, policies, runtime
from marketplace.actor import Actor, OrganisationKind, Role, Scope
from marketplace.audit import AuditRecord
from marketplace.db import new_id
from marketplace.errors import Conflict
from marketplace.files import StoredFile
from marketplace.module import Module


class ThingIn(fields.Schema):
    name = fields.Text(required=True)
    price = fields.Amount(required=True, positive=True)
    count = fields.Count(maximum=9, load_default=1)


class ThingOut(fields.Schema):
    id = fields.Id(required=True)
    name = ma.fields.String(required=True)


def _blueprint():
    blueprint = http.Blueprint("things", description="For tests")

    @blueprint.post("/things", policy=policies.allow(Role.SELLER_MANAGER), idempotent=True)
    @blueprint.arguments(ThingIn)
    @blueprint.response(201, ThingOut)
    def create(data):
        row = StoredFile(
            id=new_id(),
            organisation_id=http.actor().organisation_id,
            name=data["name"],
            media_type="x",
            size=1,
            sha256="0",
            created_at=http.at(),
        )
        http.session().add(row)
        http.session().flush()
        if data["name"] == "fail":
            raise Conflict("No.")
        if data["name"] == "bug":
            raise RuntimeError
        return row

    @blueprint.get("/things", policy=policies.reads(Role.SELLER_MANAGER))
    @blueprint.arguments(fields.PageArgs, location="query")
    @blueprint.response(200, ThingOut(many=True))
    def listing(args):
        if args["limit"] == 13:
            http.session().add(
                StoredFile(
                    organisation_id=uuid.uuid4(), name="x", media_type="x", size=1, sha256="0", created_at=http.at()
                )
            )
            http.session().flush()
        return http.session().scalars(select(StoredFile)).all()

    return blueprint


def _authenticate(session, token, *, at):
    kinds = {
        "seller": (OrganisationKind.SELLER, Role.SELLER_MANAGER),
        "auditor": (OrganisationKind.AUDITOR, Role.AUDITOR),
        "buyer": (OrganisationKind.BUYER, Role.BUYER_BIDDER),
    }
    name, _, scopes = token.partition(":")
    if name not in kinds:
        return None
    kind, role = kinds[name]
    return Actor(
        organisation_id=uuid.UUID(int=len(name)),
        organisation_kind=kind,
        roles=frozenset({role}),
        name=name,
        scopes=frozenset(Scope(s) for s in scopes.split(",")) if scopes else frozenset(Scope),
    )


@pytest.fixture
def app(running):
    module = Module("things", blueprints=(_blueprint(),), authenticate=_authenticate)
    return application.create_app(replace(running, modules=(module,)))


GOOD = {"name": "lamp", "price": {"amount": "1.50", "currency": "CNY"}}


def _count(sessions):
    with sessions() as session:
        return session.scalar(select(func.count()).select_from(StoredFile))


def test_commits_once_and_repeats_the_answer(api, sessions):
    seller = api.as_("seller")
    first = seller.post("/things", json=GOOD, key="k1")
    again = seller.post("/things", json=GOOD, key="k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.get_json() == first.get_json()
    assert again.headers["Idempotent-Replay"] == "true"
    assert _count(sessions) == 1
    other = seller.post("/things", json=GOOD | {"name": "desk"}, key="k1")
    assert (other.status_code, other.get_json()["code"]) == (422, "idempotency_key_reused")
    assert (
        seller.post("/things", json=GOOD, headers={"Idempotency-Key": ""}).get_json()["code"]
        == "idempotency_key_missing"
    )


def test_a_failure_leaves_nothing_and_frees_the_key(api, sessions):
    seller = api.as_("seller")
    for name, status in (("fail", 409), ("bug", 500)):
        response = seller.post("/things", json=GOOD | {"name": name}, key="k2")
        assert (response.status_code, response.mimetype) == (status, "application/problem+json")
    assert _count(sessions) == 0
    assert seller.post("/things", json=GOOD, key="k2").status_code == 201


def test_one_key_at_once_does_the_work_once(api, sessions):
    answers = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(api.as_("seller").post("/things", json=GOOD, key="same").status_code)
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [201] * 6
    assert _count(sessions) == 1


def test_a_get_cannot_write(api, sessions):
    assert api.as_("seller").get("/things?limit=13").status_code == 500
    assert _count(sessions) == 0


@pytest.mark.parametrize(
    ("token", "method", "status", "code"),
    [
        (None, "POST", 401, "not_signed_in"),
        ("nobody", "GET", 401, "not_signed_in"),
        ("buyer", "POST", 403, "role_missing"),
        ("buyer", "GET", 403, "role_missing"),
        ("auditor", "POST", 403, "role_missing"),
        ("auditor", "GET", 200, None),
        ("seller:read", "POST", 403, "scope_missing"),
        ("seller:bid", "GET", 403, "scope_missing"),
    ],
)
def test_policies(api, token, method, status, code):
    response = (api.as_(token) if token else api).request(method, "/things", json=GOOD if method == "POST" else None)
    assert response.status_code == status
    if code:
        assert response.get_json()["code"] == code


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (b"{", 400, ""), (b'{"a": NaN}', 400, ""), (b'{"name": "a", "name": "b"}', 400, ""),
        (b"\xc4\xe3", 400, ""), (b"[" * 9999, 400, ""), (b"", 400, ""),
        (b"[]", 422, ""), (b"{}", 422, "/name"), (b'{"name": "a", "price": 5}', 422, "/price"),
        (b'{"name": "a", "price": {"amount": "1", "currency": "CNY"}, "more": 1}', 422, "/more"),
        (b'{"name": "a\\u0000", "price": {"amount": "1", "currency": "CNY"}}', 422, "/name"),
        (b'{"name": "\\ud800", "price": {"amount": "1", "currency": "CNY"}}', 422, "/name"),
        (b'{"\\ud800": 1, "name": "a", "price": {"amount": "1", "currency": "CNY"}}', 422, "/\\ud800"),
        (b'{"name": "a", "price": {"amount": "-1", "currency": "CNY"}}', 422, "/price"),
        (b'{"name": "a", "price": {"amount": "99999999999999999999", "currency": "CNY"}}', 422, "/price"),
        (b'{"name": "a", "price": {"amount": "1", "currency": "cny"}}', 422, "/price"),
        (b'{"name": "a", "price": {"amount": ["1"], "currency": {}}}', 422, "/price"),
        (b'{"name": "a", "price": {"amount": "1", "currency": "CNY"}, "count": "3"}', 422, "/count"),
        (b'{"name": "a", "price": {"amount": "1", "currency": "CNY"}, "count": 1.5}', 422, "/count"),
        (b'{"name": "a", "price": {"amount": "1", "currency": "CNY"}, "count": true}', 422, "/count"),
    ],
)  # fmt: skip
def test_bad_bodies(api, sessions, body, status, pointer):
    response = api.as_("seller").post("/things", data=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.mimetype) == (status, "application/problem+json"), response.text
    assert response.get_json()["errors"][0]["pointer"] == pointer
    assert _count(sessions) == 0


def test_wrong_media_type_size_query_and_path(api):
    seller = api.as_("seller")
    assert seller.post("/things", data="x", headers={"Content-Type": "text/plain"}).status_code == 415
    assert (
        seller.post("/things", data=b"x" * 1_100_000, headers={"Content-Type": "application/json"}).status_code == 413
    )
    assert seller.get("/things?unknown=1").status_code == 422
    assert seller.get("/things?limit=0").status_code == 422
    assert seller.get("/nothing").get_json()["code"] == "not_found"
    assert seller.delete("/things").status_code == 405


def test_a_cookie_from_another_site_changes_nothing(app, sessions):
    client = app.test_client()
    client.set_cookie("session", "seller")
    sent = {"Idempotency-Key": "k"}
    refused = client.post("/api/v1/things", json=GOOD, headers=sent | {"Origin": "https://evil.example"})
    assert (refused.status_code, refused.get_json()["code"]) == (403, "cross_site")
    assert _count(sessions) == 0
    assert client.post("/api/v1/things", json=GOOD, headers=sent | {"Origin": "http://localhost"}).status_code == 201


def test_audit_rows_are_append_only(session):
    session.add(
        AuditRecord(
            at=runtime.current().clock.now(),
            actor_organisation_id=uuid.uuid4(),
            actor_name="x",
            subject_kind="s",
            subject_id=uuid.uuid4(),
            verb="v",
        )
    )
    session.commit()
    for statement in ("UPDATE audit_records SET verb = 'w'", "DELETE FROM audit_records", "TRUNCATE audit_records"):
        with pytest.raises(Exception, match="append-only"):
            session.execute(text(statement))
        session.rollback()


def test_only_a_trusted_proxy_says_who_visits(running):
    proxied = replace(running, settings=replace(running.settings, trusted_proxies=1), modules=())
    sent = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "market.example"}
    for built, seen in (
        (proxied, "https://market.example 203.0.113.9"),
        (replace(running, modules=()), "http://localhost"),
    ):
        app = application.create_app(built)
        app.add_url_rule("/seen", view_func=lambda: f"{request.host_url[:-1]} {request.remote_addr}")
        assert app.test_client().get("/seen", headers=sent).text.startswith(seen)
