"""Access ends at once: suspended organisations, disabled users, revoked and expired keys; keys do what they may."""

import threading
from collections import Counter
from datetime import date, timedelta

import pytest

from marketplace.actor import OrganisationKind, Role
from marketplace.errors import NotFound
from marketplace.parties import service
from marketplace.parties.domain import LicenceKind
from tests.people import PASSWORD, make_uscc

REASON = {"reason": "material breach"}


def issue(api, person, *, roles, scopes, expires_at="2026-06-01T00:00:00Z"):
    body = {"name": "程序", "roles": roles, "scopes": scopes, "expires_at": expires_at}
    return api.as_(person).ok("POST", f"/organisations/{person.organisation_id}/api-keys", 201, json=body)


def code(response):
    return response.status_code, response.get_json()["code"]


def test_suspending_an_organisation_ends_sessions_and_rests_keys(api, people):
    secret = issue(api, people.buyer, roles=["buyer_bidder"], scopes=["read"])["secret"]
    admin, path = api.as_(people.admin), f"/organisations/{people.buyer.organisation_id}"
    credentials = [people.buyer, people.buyer_analyst, secret]
    assert [api.as_(who).get("/me").status_code for who in credentials] == [200, 200, 200]
    admin.ok("POST", f"{path}/suspend", json=REASON)
    assert [api.as_(who).get("/me").status_code for who in credentials] == [401, 401, 401]
    assert api.as_(people.other_buyer).get("/me").status_code == 200
    admin.ok("POST", f"{path}/reinstate")
    assert [api.as_(who).get("/me").status_code for who in credentials] == [401, 401, 200]


def test_the_operator_cannot_suspend_itself(api, people):
    answer = api.as_(people.admin).post(f"/organisations/{people.admin.organisation_id}/suspend", json=REASON)
    assert code(answer) == (409, "operator_stays")


def test_disabling_a_user_ends_its_sessions_for_good(api, people):
    seller = api.as_(people.seller)
    seller.ok("POST", f"/users/{people.seller_agent.user_id}/disable", json=REASON)
    assert api.as_(people.seller_agent).get("/me").status_code == 401
    seller.ok("POST", f"/users/{people.seller_agent.user_id}/enable")
    assert api.as_(people.seller_agent).get("/me").status_code == 401
    body = {"login": "seller-agent", "password": PASSWORD}
    assert api.post("/sessions", json=body).status_code == 201


def test_nobody_disables_themselves(api, people):
    answer = api.as_(people.seller).post(f"/users/{people.seller.user_id}/disable", json=REASON)
    assert code(answer) == (409, "cannot_disable_yourself")


def test_a_key_acts_for_its_organisation_with_its_roles(api, people):
    issued = issue(api, people.seller, roles=["seller_agent"], scopes=["read", "write"])
    me = api.as_(issued["secret"]).ok("GET", "/me")
    assert me == {
        "user_id": None,
        "api_key_id": issued["key"]["id"],
        "name": "程序",
        "organisation_id": str(people.seller.organisation_id),
        "organisation_kind": "seller",
        "roles": ["seller_agent"],
        "scopes": ["read", "write"],
    }


@pytest.mark.parametrize(
    ("scopes", "read", "write"), [(["read"], 200, 403), (["write"], 403, 201), (["bid"], 403, 403)]
)
def test_a_key_does_only_what_its_scopes_say(api, people, scopes, read, write):
    key = api.as_(issue(api, people.seller, roles=["seller_manager"], scopes=scopes)["secret"])
    licence = {"kind": "bank", "number": "B-2", "issuer": "NFRA", "valid_from_on": "2026-01-01"}
    path = f"/organisations/{people.seller.organisation_id}/licences"
    answers = [key.get(path), key.post(path, json=licence)]
    assert [answer.status_code for answer in answers] == [read, write]
    assert all(answer.get_json()["code"] == "scope_missing" for answer in answers if answer.status_code == 403)


def test_a_key_makes_no_users_keys_or_passwords(api, people):
    secret = issue(api, people.seller, roles=["seller_manager"], scopes=["read", "write"])["secret"]
    key, path = api.as_(secret), f"/organisations/{people.seller.organisation_id}"
    user = {"login": "newcomer", "name": "新人", "roles": ["seller_agent"], "password": PASSWORD}
    more = {"name": "k", "roles": ["seller_agent"], "scopes": ["read"], "expires_at": "2026-06-01T00:00:00Z"}
    change = {"current_password": PASSWORD, "new_password": PASSWORD}
    answers = [
        key.post(f"{path}/users", json=user),
        key.post(f"{path}/api-keys", json=more),
        key.post(f"/users/{people.seller_agent.user_id}/disable", json=REASON),
        key.post("/me/password", json=change),
    ]
    assert [code(answer) for answer in answers] == [(403, "person_needed")] * 4
    assert code(key.delete("/sessions/current")) == (404, "not_found")


def test_a_revoked_key_is_dead_at_once_and_revoking_again_changes_nothing(api, people, clock):
    issued = issue(api, people.buyer, roles=["buyer_bidder"], scopes=["read"])
    buyer, key = api.as_(people.buyer), api.as_(issued["secret"])
    first = buyer.ok("POST", f"/api-keys/{issued['key']['id']}/revoke")
    assert key.get("/me").status_code == 401
    clock.advance(minutes=1)
    assert buyer.ok("POST", f"/api-keys/{issued['key']['id']}/revoke") == first
    records = api.as_(people.admin).ok("GET", f"/audit-records?subject_id={issued['key']['id']}")["items"]
    assert [record["verb"] for record in records] == ["revoke", "create"]


def test_a_key_expires_at_its_instant(api, people, clock):
    issued = issue(api, people.buyer, roles=["buyer_bidder"], scopes=["read"], expires_at="2026-03-02T10:00:00Z")
    clock.advance(minutes=59, seconds=59)
    assert api.as_(issued["secret"]).get("/me").status_code == 200
    clock.advance(seconds=1)
    assert api.as_(issued["secret"]).get("/me").status_code == 401


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"roles": ["operator_admin"]}, "roles_do_not_fit"),
        ({"roles": ["seller_manager", "buyer_bidder"]}, "roles_do_not_fit"),
        ({"roles": []}, "request_invalid"),
        ({"roles": ["root"]}, "request_invalid"),
        ({"scopes": []}, "request_invalid"),
        ({"scopes": ["admin"]}, "request_invalid"),
        ({"expires_at": "2026-03-02T09:00:00Z"}, "invalid_key_lifetime"),
        ({"expires_at": "2027-03-04T09:00:00Z"}, "invalid_key_lifetime"),
        ({"expires_at": "2026-06-01T00:00:00"}, "request_invalid"),
    ],
)
def test_keys_that_are_not_made(api, people, change, expected):
    body = {"name": "k", "roles": ["seller_agent"], "scopes": ["read"], "expires_at": "2026-06-01T00:00:00Z"} | change
    answer = api.as_(people.seller).post(f"/organisations/{people.seller.organisation_id}/api-keys", json=body)
    assert code(answer) == (422, expected)


def test_a_damaged_key_is_nobody(api, people):
    secret = issue(api, people.buyer, roles=["buyer_bidder"], scopes=["read"])["secret"]
    flipped = secret[:-1] + ("0" if secret[-1] != "0" else "1")
    for damaged in (
        flipped,
        secret.upper(),
        secret[:-1],
        secret + "0",
        secret.split("_")[2],
        "npl_" + "0" * 8 + "_" + "0" * 64,
    ):
        assert api.as_(damaged).get("/me").status_code == 401


def test_users_that_are_not_made(api, people):
    path = f"/organisations/{people.seller.organisation_id}/users"
    good = {"login": "newcomer", "name": "新人", "roles": ["seller_agent"], "password": PASSWORD}
    wrong = [
        ({"roles": ["operator_admin"]}, "roles_do_not_fit"),
        ({"login": "a b c"}, "invalid_login"),
        ({"login": "新来的人"}, "invalid_login"),
        ({"password": "newcomer-newcomer"}, "weak_password"),
        ({"password": "short"}, "request_invalid"),
    ]
    seller = api.as_(people.seller)
    answers = [seller.post(path, json=good | change) for change, _ in wrong]
    assert [code(answer) for answer in answers] == [(422, expected) for _, expected in wrong]
    seller.ok("POST", path, 201, json=good)
    for login in ("newcomer", "NewComer"):
        assert code(seller.post(path, json=good | {"login": login})) == (409, "login_taken")
    other = f"/organisations/{people.buyer.organisation_id}/users"
    answer = api.as_(people.buyer).post(other, json=good | {"roles": ["buyer_analyst"]})
    assert code(answer) == (409, "login_taken")


def test_organisations_that_are_not_made(api, people):
    admin = api.as_(people.admin)
    good = {"name": "新银行", "kind": "seller", "country": "CN", "uscc": make_uscc(99)}
    wrong = [
        ({"uscc": None}, 422, "invalid_uscc"),
        ({"uscc": make_uscc(99)[:-1] + "*"}, 422, "invalid_uscc"),
        ({"uscc": make_uscc(1)}, 409, "organisation_known"),
        ({"kind": "operator"}, 409, "operator_exists"),
        ({"kind": "court"}, 422, "request_invalid"),
        ({"country": "cn"}, 422, "request_invalid"),
        ({"province": "99"}, 422, "invalid_province"),
        ({"lei": "5493001KJTIIGC8Y1R13"}, 422, "invalid_lei"),
        ({"name": ""}, 422, "request_invalid"),
        ({"state": "active"}, 422, "request_invalid"),
    ]
    answers = [admin.post("/organisations", json=good | change) for change, *_ in wrong]
    assert [code(answer) for answer in answers] == [(status, expected) for _, status, expected in wrong]
    made = admin.ok("POST", "/organisations", 201, json=good | {"province": "33", "lei": "5493001KJTIIGC8Y1R12"})
    assert made["state"] == "applied"
    abroad = {"name": "Harbour Capital", "kind": "buyer", "country": "HK"}
    assert admin.ok("POST", "/organisations", 201, json=abroad)["uscc"] is None


def test_licences_that_are_not_submitted(api, people):
    seller, path = api.as_(people.seller), f"/organisations/{people.seller.organisation_id}/licences"
    good = {
        "kind": "bank",
        "number": "B-9",
        "issuer": "NFRA",
        "valid_from_on": "2026-01-01",
        "valid_until_on": "2027-01-01",
    }
    wrong = [
        ({"kind": "valuation_firm"}, "licence_does_not_fit"),
        ({"valid_until_on": "2026-01-01"}, "invalid_licence_days"),
        ({"valid_until_on": "2026-13-01"}, "request_invalid"),
        ({"valid_from_on": "2026-01-01T00:00:00Z"}, "request_invalid"),
    ]
    answers = [seller.post(path, json=good | change) for change, _ in wrong]
    assert [code(answer) for answer in answers] == [(422, expected) for _, expected in wrong]
    first = seller.ok("POST", path, 201, json=good)
    assert code(seller.post(path, json=good)) == (409, "licence_known")
    api.as_(people.compliance).ok("POST", f"/licences/{first['id']}/reject", json=REASON)
    seller.ok("POST", path, 201, json=good)


def test_a_reason_is_needed_to_say_no(api, people):
    path = f"/organisations/{people.seller.organisation_id}/suspend"
    for body in ({}, {"reason": ""}, {"reason": "  "}, {"reason": "x" * 501}, {"reason": "x", "until": "2027"}):
        assert api.as_(people.admin).post(path, json=body).status_code == 422


def test_two_decisions_at_once_are_one(app, api, people):
    body = {"name": "新银行", "kind": "seller", "country": "CN", "uscc": make_uscc(98)}
    organisation = api.as_(people.admin).ok("POST", "/organisations", 201, json=body)["id"]
    found, barrier = Counter(), threading.Barrier(2)

    def decide(verb):
        barrier.wait()
        answer = api.as_(people.admin).post(
            f"/organisations/{organisation}/{verb}", json=REASON if verb == "reject" else None
        )
        found[answer.status_code] += 1

    threads = [threading.Thread(target=decide, args=(verb,)) for verb in ("approve", "reject")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {200: 1, 409: 1}
    records = api.as_(people.admin).ok("GET", f"/audit-records?subject_id={organisation}")["items"]
    assert len(records) == 2


def test_every_move_is_recorded_with_who_when_and_why(api, people, clock):
    admin = api.as_(people.admin)
    organisation = admin.ok(
        "POST", "/organisations", 201, json={"name": "新银行", "kind": "seller", "country": "CN", "uscc": make_uscc(97)}
    )["id"]
    licence = {"kind": "bank", "number": "B-9", "issuer": "NFRA", "valid_from_on": "2026-01-01"}
    user = {"login": "newcomer", "name": "新人", "roles": ["seller_agent"], "password": PASSWORD}
    path = f"/organisations/{organisation}"
    first = admin.ok("POST", f"{path}/licences", 201, json=licence)["id"]
    second = admin.ok("POST", f"{path}/licences", 201, json=licence | {"number": "B-10"})["id"]
    person = admin.ok("POST", f"{path}/users", 201, json=user)["id"]
    clock.advance(minutes=5)
    moves = [
        (path, "approve", "applied", "active"), (path, "suspend", "active", "suspended"),
        (path, "reinstate", "suspended", "active"), (f"/licences/{first}", "approve", "submitted", "approved"),
        (f"/licences/{first}", "revoke", "approved", "revoked"),
        (f"/licences/{second}", "reject", "submitted", "rejected"),
        (f"/users/{person}", "disable", "active", "disabled"), (f"/users/{person}", "enable", "disabled", "active"),
    ]  # fmt: skip
    for thing, verb, before, after in moves:
        needs_reason = verb in {"suspend", "revoke", "reject", "disable"}
        row = admin.ok("POST", f"{thing}/{verb}", json=REASON if needs_reason else None)
        assert row["state"] == after
        record = admin.ok("GET", "/audit-records?limit=1")["items"][0]
        assert record["subject_id"] == thing.rsplit("/", 1)[1]
        assert (record["verb"], record["before"], record["after"]) == (verb, {"state": before}, {"state": after})
        assert record["actor_user_id"] == str(people.admin.user_id)
        assert record["at"] == "2026-03-02T09:05:00.000Z"
        assert record["reason"] == (REASON["reason"] if needs_reason else "")


def test_a_licence_is_in_force_on_its_days_while_everybody_is_in_good_standing(people, session, clock):
    organisation = people.valuer.organisation_id
    (old,) = service.list_licences(
        session, organisation_id=organisation, cursor=None, limit=9, actor=people.valuer.actor
    ).items
    admin = people.admin.actor

    def in_force(at):
        return service.licence_in_force(session, organisation, at=at)

    assert in_force(clock.now())
    service.decide_licence(session, licence_id=old.id, verb="revoke", reason="lapsed", actor=admin, at=clock.now())
    assert not in_force(clock.now())
    new = service.submit_licence(
        session, organisation_id=organisation, kind=LicenceKind.VALUATION_FIRM, number="V-2", issuer="MOF",
        valid_from_on=date(2026, 3, 2), valid_until_on=date(2026, 3, 3), actor=people.valuer.actor, at=clock.now(),
    )  # fmt: skip
    assert not in_force(clock.now())
    service.decide_licence(session, licence_id=new.id, verb="approve", actor=admin, at=clock.now())
    midnight = clock.now().replace(hour=16)  # in Shanghai
    assert in_force(midnight - timedelta(days=1))
    assert not in_force(midnight - timedelta(days=1, seconds=1))
    assert in_force(midnight - timedelta(seconds=1))
    assert not in_force(midnight)
    service.decide_organisation(
        session, organisation_id=organisation, verb="suspend", reason="x", actor=admin, at=clock.now()
    )
    assert not in_force(clock.now())


def test_the_door_for_other_packages(people, session):
    organisation = service.require_organisation(session, people.seller.organisation_id)
    assert (organisation.name, organisation.kind, organisation.province) == ("东海银行", OrganisationKind.SELLER, "33")
    unknown = people.seller.user_id
    with pytest.raises(NotFound):
        service.require_organisation(session, unknown)
    names = service.organisation_names(session, [people.seller.organisation_id, people.buyer.organisation_id, unknown])
    assert names == {people.seller.organisation_id: "东海银行", people.buyer.organisation_id: "华信资产"}
    assert service.organisation_names(session, []) == {}


def test_the_first_operator_is_made_once_at_the_terminal(app, api):
    command = ["parties", "create-operator", "--login", "Operator", "--name", "运营管理员"]
    run = app.test_cli_runner().invoke
    weak = run(args=[*command, "--password", "short"])
    assert (weak.exit_code, "12 to 128" in weak.output) == (1, True)
    asked = run(args=command, input=f"{PASSWORD}\n{PASSWORD}\n")
    assert asked.exit_code == 0, asked.output
    assert "operator may sign in." in asked.output
    assert PASSWORD not in asked.output
    again = run(args=[*command, "--password", "another horse battery"])
    assert (again.exit_code, "exists" in again.output) == (0, True)
    actor = api.ok("POST", "/sessions", 201, json={"login": "operator", "password": PASSWORD})["actor"]
    assert (actor["organisation_kind"], actor["roles"]) == ("operator", [Role.OPERATOR_ADMIN])


def test_what_is_over_is_forgotten(api, people, clock, sessions, tick):
    from sqlalchemy import func, select

    from marketplace.parties import models

    api.post("/sessions", json={"login": "nobody", "password": "x"})

    def count(row):
        with sessions() as session:
            return session.scalar(select(func.count()).select_from(row))

    assert count(models.SignInFailure) == 1
    tick()
    assert (count(models.SignInFailure), count(models.UserSession)) == (1, 12)
    clock.advance(days=31)
    tick()
    assert (count(models.SignInFailure), count(models.UserSession)) == (0, 0)
