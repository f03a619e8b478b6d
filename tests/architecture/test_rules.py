"""Every rule holds in the product, and every rule is shown to fail on a deliberate violation."""

import pytest
import rules
from rules import Source

VIOLATIONS = {
    rules.only_the_edge_commits: [
        ("auctions/service.py", "def f(session):\n    session.commit()\n"),
        ("auctions/service.py", "def f(running):\n    with running.sessions.begin() as session: pass\n"),
        ("auctions/service.py", "def f(engine):\n    return Session(engine)\n"),
    ],
    rules.only_settings_read_the_environment: [("auctions/service.py", "import os\nx = os.environ['A']\n")],
    rules.the_clock_is_read_at_the_edge: [
        ("auctions/service.py", "from datetime import datetime\nx = datetime.now()\n"),
        ("auctions/domain.py", "import time\nx = time.time()\n"),
    ],
    rules.one_function_writes_a_state: [
        ("auctions/service.py", "def f(row):\n    row.state = 1\n"),
        ("auctions/service.py", "x = update(Listing).values(state=1)\n"),
    ],
    rules.domains_are_pure: [
        ("auctions/domain.py", "from sqlalchemy import select\n"),
        ("auctions/domain/english.py", "import flask\n"),
    ],
    rules.no_relationship: [("auctions/models.py", "x = relationship('Case')\n")],
    rules.services_take_keywords: [
        ("auctions/service.py", "def place_bid(session, auction_id, amount, at): ...\n"),
        ("auctions/service.py", "def place_bid(auction_id, session): ...\n"),
    ],
    rules.no_empty_names: [("auctions/utils.py", ""), ("auctions/helpers/x.py", "")],
    rules.silenced_checks_say_why: [
        ("auctions/service.py", "x = 1  # noqa: F841\n"),
        ("auctions/service.py", "x = 1  # type: ignore[misc]\n"),
    ],
    rules.money_is_never_a_float: [
        ("settlement/deals.py", "x = 0.05\n"),
        ("auctions/domain/english.py", "x = float('1')\n"),
    ],
}


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_holds_in_the_product(rule):
    assert [broken for source in rules.sources() for broken in rule(source)] == []


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_notices_a_violation(rule):
    for path, text in VIOLATIONS[rule]:
        assert list(rule(Source(path, text))), f"{rule.__name__} let pass: {text}"
