"""The sale of `tests/settlement/deals`, for the simulation: with the card rail on, and more bidders."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from auctions import award_turns
from marketplace.actor import OrganisationKind, Role
from marketplace.parties.domain import LicenceKind
from tests.conftest import NOW, make_settings
from tests.people import Founder
from tests.stripe_double import StripeDouble
from tests.stripe_server import serving

_SPEC = importlib.util.spec_from_file_location("deals_conftest", Path(__file__).parents[1] / "deals" / "conftest.py")
_DEALS = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_DEALS)
unpaid_sale, sale, deliver = _DEALS.unpaid_sale, _DEALS.sale, _DEALS.deliver

CARD_BIDDERS = tuple(f"Bidder {number} Capital" for number in range(9))


@pytest.fixture
def stripe() -> StripeDouble:
    with serving() as double:
        yield double


@pytest.fixture
def settings(database, tmp_path, stripe):
    """The card rail is on, and asks the double."""
    keys = {"STRIPE_API_KEY": "sk_test_x", "STRIPE_WEBHOOK_SECRET": stripe.secret, "STRIPE_API_BASE": stripe.base}
    return make_settings(database, tmp_path / "files", **keys)


@pytest.fixture(autouse=True)
def fit(monkeypatch) -> None:
    """Whether the next in line may still buy is a question of auctions, and tested there."""
    monkeypatch.setattr(award_turns, "_unfit", lambda *_, **__: None)


@pytest.fixture
def bidders(unpaid_sale, people) -> dict[str, Any]:
    """Everybody who is registered for the sale, by the name that the bank knows: three of the house, nine more."""
    found = {"buyer": people.buyer, "other_buyer": people.other_buyer, "third_buyer": people.third_buyer}
    with unpaid_sale.sessions.begin() as session:
        founder = Founder(session, at=NOW)
        founder.count, founder.admin = 100, people.admin.actor
        for number, name in enumerate(CARD_BIDDERS):
            organisation = founder.organisation(OrganisationKind.BUYER, name, LicenceKind.LOCAL_AMC)
            found[name] = founder.person(organisation, Role.BUYER_BIDDER, f"bidder-{number}")
            unpaid_sale.register(session, name, organisation.id)
        session.connection().exec_driver_sql("UPDATE user_sessions SET expires_at = expires_at + interval '9 days'")
    for name in CARD_BIDDERS:
        account = {"holder": name, "number": f"6222{name}", "currency": "CNY"}
        unpaid_sale.api.as_(found[name]).ok("POST", "/bank-accounts", 201, json=account)
    return found
