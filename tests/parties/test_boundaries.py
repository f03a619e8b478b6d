"""Every route of the parties and of the house, asked by everybody: who may, who may not, for whom it is not there."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from marketplace import jobs, runtime
from marketplace.actor import OrganisationKind, Role, Scope
from marketplace.parties import service
from marketplace.parties.domain import LicenceKind
from marketplace.parties.domain.affiliates import AffiliateKind
from tests.people import PASSWORD, People, make_uscc

NAMES = ("admin", "finance", "compliance", "seller", "seller_agent", "other_seller", "buyer", "buyer_analyst", "valuer",
         "auditor")  # fmt: skip
STAFF = ("admin", "finance", "compliance", "auditor")
DECIDERS = {"admin": 200, "compliance": 200}
STRANGERS = {"other_seller": 404, "buyer": 404, "valuer": 404}
_numbers = itertools.count(1000)


@dataclass
class World:
    """What a preparation may use: a session, everybody, the time."""

    session: Session
    people: People
    at: Any

    def organisation(self, *verbs: str) -> str:
        row = service.create_organisation(
            self.session, name="新来者", kind=OrganisationKind.SELLER, country="CN", uscc=make_uscc(next(_numbers)),
            actor=self.people.admin.actor, at=self.at,
        )  # fmt: skip
        for verb in verbs:
            service.decide_organisation(
                self.session, organisation_id=row.id, verb=verb, actor=self.people.admin.actor, at=self.at
            )
        return str(row.id)

    def user(self, *, disabled: bool = False) -> str:
        row = service.create_user(
            self.session, organisation_id=self.people.seller.organisation_id, login=f"user{next(_numbers)}",
            name="新人", roles=[Role.SELLER_AGENT], password=PASSWORD, actor=self.people.admin.actor, at=self.at,
        )  # fmt: skip
        if disabled:
            service.disable_user(self.session, user_id=row.id, reason="left", actor=self.people.admin.actor, at=self.at)
        return str(row.id)

    def licence(self, *verbs: str) -> str:
        row = service.submit_licence(
            self.session, organisation_id=self.people.seller.organisation_id, kind=LicenceKind.BANK,
            number=f"N{next(_numbers)}", issuer="NFRA", valid_from_on=date(2026, 1, 1), valid_until_on=None,
            actor=self.people.admin.actor, at=self.at,
        )  # fmt: skip
        for verb in verbs:
            service.decide_licence(
                self.session, licence_id=row.id, verb=verb, actor=self.people.admin.actor, at=self.at
            )
        return str(row.id)

    def key(self) -> str:
        issued = service.issue_key(
            self.session, organisation_id=self.people.seller.organisation_id, name="程序", roles=[Role.SELLER_AGENT],
            scopes=[Scope.READ], expires_at=self.at + timedelta(days=1), actor=self.people.admin.actor, at=self.at,
        )  # fmt: skip
        return str(issued.key.id)

    def affiliate(self) -> str:
        row = service.add_affiliate(
            self.session, organisation_id=self.people.seller.organisation_id, kind=AffiliateKind.STAFF, name="员工",
            identity_number=None, vault=runtime.current().vault, actor=self.people.admin.actor, at=self.at,
        )  # fmt: skip
        return str(row.id)

    def job(self) -> str:
        arguments: dict[str, Any] = {}
        return str(
            jobs.enqueue(self.session, name="x", arguments=arguments, actor=self.people.seller.actor, at=self.at).id
        )


@dataclass
class Route:
    """A route, how to prepare a thing for it, what to send, and the answer for each; others get `rest`."""

    method: str
    rule: str
    answers: dict[str, int]
    rest: int
    thing: Callable[[World], str] | None = None
    body: Callable[[], Any] = field(default=lambda: None)
    anonymous: int = 401


def _organisation() -> Any:
    return {"name": "新银行", "kind": "seller", "country": "CN", "uscc": make_uscc(next(_numbers))}


def _user() -> Any:
    return {"login": f"new{next(_numbers)}", "name": "新人", "roles": ["seller_agent"], "password": PASSWORD}


def _licence() -> Any:
    return {"kind": "bank", "number": f"B{next(_numbers)}", "issuer": "NFRA", "valid_from_on": "2026-01-01"}


def _key() -> Any:
    return {"name": "程序", "roles": ["seller_agent"], "scopes": ["read"], "expires_at": "2026-06-01T00:00:00Z"}


def _affiliate() -> Any:
    return {"kind": "staff", "name": "员工"}


def _reason() -> Any:
    return {"reason": "材料不实"}


def _seller(world: World) -> str:
    return str(world.people.seller.organisation_id)


def _managed(status: int) -> dict[str, int]:
    return {"admin": status, "seller": status} | STRANGERS


def _all(status: int, *names: str) -> dict[str, int]:
    return dict.fromkeys(names, status)


ROUTES = [
    Route("POST", "/sessions", {}, 201, None, lambda: {"login": "seller", "password": PASSWORD}, anonymous=201),
    Route("DELETE", "/sessions/current", {}, 204),
    Route("GET", "/me", {}, 200),
    Route("POST", "/me/password", {}, 204, None, lambda: {"current_password": PASSWORD, "new_password": PASSWORD}),
    Route("POST", "/organisations", {"admin": 201}, 403, None, _organisation),
    Route("GET", "/organisations", {}, 200),
    Route("GET", "/organisations/{}", _all(200, "seller", "seller_agent", *STAFF), 404, _seller),
    Route("POST", "/organisations/{}/approve", DECIDERS, 403, lambda world: world.organisation()),
    Route("POST", "/organisations/{}/reject", DECIDERS, 403, lambda world: world.organisation(), _reason),
    Route("POST", "/organisations/{}/suspend", DECIDERS, 403, lambda world: world.organisation("approve"), _reason),
    Route("POST", "/organisations/{}/reinstate", DECIDERS, 403,
          lambda world: world.organisation("approve", "suspend")),
    Route("POST", "/organisations/{}/users", _managed(201), 403, _seller, _user),
    Route("GET", "/organisations/{}/users", _all(200, "seller", *STAFF) | STRANGERS, 403, _seller),
    Route("POST", "/users/{}/disable", _managed(200), 403, lambda world: world.user(), _reason),
    Route("POST", "/users/{}/enable", _managed(200), 403, lambda world: world.user(disabled=True)),
    Route("POST", "/organisations/{}/licences", _managed(201), 403, _seller, _licence),
    Route("GET", "/organisations/{}/licences", _all(200, "seller", "seller_agent", *STAFF), 404, _seller),
    Route("POST", "/licences/{}/approve", DECIDERS, 403, lambda world: world.licence()),
    Route("POST", "/licences/{}/reject", DECIDERS, 403, lambda world: world.licence(), _reason),
    Route("POST", "/licences/{}/revoke", DECIDERS, 403, lambda world: world.licence("approve"), _reason),
    Route("POST", "/organisations/{}/api-keys", _managed(201), 403, _seller, _key),
    Route("GET", "/organisations/{}/api-keys", _all(200, "seller", *STAFF) | STRANGERS, 403, _seller),
    Route("POST", "/api-keys/{}/revoke", _managed(200), 403, lambda world: world.key()),
    Route("POST", "/organisations/{}/affiliates", _managed(201), 403, _seller, _affiliate),
    Route("GET", "/organisations/{}/affiliates", _all(200, "seller", *STAFF) | STRANGERS, 403, _seller),
    Route("POST", "/affiliates/{}/remove", DECIDERS, 403, lambda world: world.affiliate(), _reason),
    Route("GET", "/time", {}, 200, anonymous=200),
    Route("GET", "/health", {}, 200, anonymous=200),
    Route("GET", "/jobs/{}", _all(200, "seller", "seller_agent", *STAFF), 404, lambda world: world.job()),
    Route("GET", "/audit-records", _all(200, "admin", "compliance", "auditor"), 403),
    Route("GET", "/outbox-deliveries", _all(200, "admin", "auditor"), 403),
]  # fmt: skip


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.rule}")
def test_everybody(route, api, people, sessions, clock):
    found, expected = {}, {}
    for name in (*NAMES, None):
        path = route.rule
        if route.thing is not None:
            with sessions.begin() as session:
                path = route.rule.format(route.thing(World(session, people, clock.now())))
        client = api.as_(getattr(people, name)) if name else api
        body = route.body()
        response = client.request(route.method, path, **({} if body is None else {"json": body}))
        found[name] = response.status_code
        expected[name] = route.answers.get(name, route.rest) if name else route.anonymous
        if response.status_code >= 400:
            assert response.mimetype == "application/problem+json"
            assert response.get_json()["code"]
    assert found == expected


def test_the_table_is_complete(app):
    listed = {(route.method, route.rule) for route in ROUTES}
    real = set()
    for rule in app.url_map.iter_rules():
        if rule.endpoint.split(".")[0] in {"parties", "house"}:
            path = rule.rule.removeprefix("/api/v1")
            for argument in rule.arguments:
                path = path.replace(f"<uuid:{argument}>", "{}")
            real |= {(method, path) for method in rule.methods - {"HEAD", "OPTIONS"}}
    assert real == listed


def test_nobody_learns_whether_a_strange_thing_exists(api, people, sessions, clock):
    """What is not there and what may not be seen answer with the same words."""
    with sessions.begin() as session:
        user = World(session, people, clock.now()).user()
    unknown = user[:-12] + "0" * 12
    for strange in (user, unknown):
        response = api.as_(people.buyer).post(f"/users/{strange}/disable", json={"reason": "x"})
        assert response.status_code == 404
        assert response.get_json()["detail"].replace(strange, "…") == "There is no user '…' that you can see."


def test_a_tenant_lists_only_itself(api, people):
    seen = api.as_(people.buyer_analyst).ok("GET", "/organisations")
    assert [row["id"] for row in seen["items"]] == [str(people.buyer.organisation_id)]
    first = api.as_(people.auditor).ok("GET", "/organisations?limit=3")
    rest = api.as_(people.auditor).ok("GET", f"/organisations?limit=200&cursor={first['next']}")
    ids = [row["id"] for row in first["items"] + rest["items"]]
    assert len(ids) == len(set(ids)) == 8
    assert ids == sorted(ids, reverse=True)
    assert rest["next"] is None


def test_secrets_are_in_no_answer_but_the_first(api, people):
    seller = api.as_(people.seller)
    organisation = people.seller.organisation_id
    issued = seller.ok("POST", f"/organisations/{organisation}/api-keys", 201, json=_key())
    listed = seller.ok("GET", f"/organisations/{organisation}/api-keys")["items"]
    assert listed == [issued["key"]]
    assert issued["secret"].startswith(issued["key"]["prefix"] + "_")
    users = seller.get(f"/organisations/{organisation}/users").text
    assert "argon2" not in users
    assert "password" not in users
    records = api.as_(people.admin).get("/audit-records?limit=200").text
    assert issued["secret"] not in records
    assert issued["secret"].rsplit("_", 1)[1] not in records
    assert "argon2" not in records
