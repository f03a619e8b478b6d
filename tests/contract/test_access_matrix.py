"""Roles × routes: strangers are told to sign in; who a route does not name is refused before anything is read."""

import re
import uuid

import pytest

ROLES = {
    "admin": "operator_admin",
    "finance": "operator_finance",
    "compliance": "operator_compliance",
    "seller": "seller_manager",
    "seller_agent": "seller_agent",
    "buyer": "buyer_bidder",
    "buyer_analyst": "buyer_analyst",
    "valuer": "valuer_appraiser",
    "auditor": "auditor",
}


def _operations(app):
    """(method, path with ids of nothing, roles or None, open to all) of every operation."""
    found = []
    for path, methods in app.extensions["openapi"]["paths"].items():
        place = re.sub(r"\{[^}]*_id\}", str(uuid.uuid4()), path)
        place = re.sub(r"\{[^}]*\}", "1", place)
        for method, operation in methods.items():
            if method != "parameters" and not path.endswith("/sessions/current"):
                roles, free = operation.get("x-roles"), operation["security"] == []
                found.append((method.upper(), place, roles, free))
    return found


def _answer(api, method, place):
    more = {} if method == "GET" else {"json": {}}
    return api.request(method, place, **more)


def test_a_stranger_is_told_to_sign_in_everywhere_but_at_the_public_doors(app, api):
    doors = set()
    for method, place, _, free in _operations(app):
        if free:
            doors.add((method, place))
        else:
            answer = _answer(api, method, place)
            assert (answer.status_code, answer.get_json()["code"]) == (401, "not_signed_in"), (method, place)
    assert doors == {
        ("GET", "/api/v1/auction-keys"),
        ("GET", "/api/v1/auctions.ics"),
        ("GET", "/api/v1/health"),
        ("GET", "/api/v1/ledger/heads"),
        ("GET", "/api/v1/time"),
        ("POST", "/api/v1/sessions"),
        ("POST", "/api/v1/stripe/webhook"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("who", ROLES)
def test_a_role_that_a_route_does_not_name_is_refused_before_anything_is_read(app, api, people, who):
    """What a role may not do is 403, whatever was sent and whether the thing is there or not; nothing is our fault."""
    mine = api.as_(getattr(people, who))
    for method, place, roles, _ in _operations(app):
        answer = _answer(mine, method, place)
        assert answer.status_code < 500 or answer.status_code == 503, (method, place, answer.text)
        refused = answer.status_code == 403 and answer.get_json()["code"] == "role_missing"
        assert refused == (roles is not None and ROLES[who] not in roles), (method, place, answer.text)
