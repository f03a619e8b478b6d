"""The life of a deposit: its stages, what became of every cent, and releases that are late."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from settlement import deposit_life
from settlement.domain.deposit_life import DepositFigures, DepositStage, release_due, stage

PARTS = st.integers(0, 10**12)
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ({}, DepositStage.REQUESTED),
        ({"received": 99, "held": 99}, DepositStage.RECEIVED),
        ({"received": 100, "held": 100}, DepositStage.HELD),
        ({"received": 100, "applied": 100}, DepositStage.APPLIED),
        ({"received": 100, "refunding": 100}, DepositStage.REFUNDING),
        ({"received": 100, "released": 100}, DepositStage.RELEASED),
        ({"received": 100, "forfeited": 100}, DepositStage.FORFEITED),
        ({"received": 101, "forfeited": 100, "refunding": 1}, DepositStage.REFUNDING),
        ({"received": 100, "held": 99, "disputed": 1}, DepositStage.DISPUTED),
        ({"received": 200, "held": 100, "disputed": 100}, DepositStage.HELD),
        ({"received": 101, "forfeited": 100, "released": 1}, DepositStage.FORFEITED),
    ],
)
def test_stages(parts, found) -> None:
    figures = DepositFigures(**parts)
    assert figures.adds_up
    assert stage(figures, required_minor=100) is found


@given(st.tuples(*[PARTS] * 6), st.integers(-5, 5))
def test_a_missing_cent_shows(parts, off) -> None:
    figures = DepositFigures(sum(parts) + off, *parts)
    assert figures.adds_up == (off == 0)


def test_the_deadline_counts_from_the_last_thing_that_it_was_kept_for() -> None:
    assert release_due(regime="judicial_cn", from_=[AT, AT + timedelta(hours=5)]) == AT + timedelta(hours=29)
    assert release_due(regime="plain", from_=[AT]) == AT + timedelta(hours=72)
    assert release_due(regime="plain", from_=[]) is None


def stages(sale) -> dict[str, str]:
    rows = sale.api.as_(sale.people.finance).ok("GET", "/deposits")["items"]
    by_reference = {row["reference"]: row["stage"] for row in rows}
    return {name: by_reference[reference] for name, reference in sale.references.items()}


def due(sale) -> list[tuple]:
    rows = sale.api.as_(sale.people.auditor).ok("GET", "/deposit-releases")["items"]
    names = {reference: name for name, reference in sale.references.items()}
    return [(names[row["reference"]], row["is_proposed"], row["is_overdue"]) for row in rows]


def test_every_stage_on_the_way_and_the_watch_over_releases(sale) -> None:
    finance, admin = sale.api.as_(sale.people.finance), sale.api.as_(sale.people.admin)
    assert set(stages(sale).values()) == {"held"}
    sale.award()
    sale.work()
    assert stages(sale) == {"buyer": "applied", "other_buyer": "held", "third_buyer": "refunding"}
    assert due(sale) == [("third_buyer", True, False)], "the runner-up waits for the contract"
    (order,) = sale.orders(state="proposed")
    with sale.sessions.begin() as session:
        closed_at = session.execute(text("SELECT closed_at FROM auctions")).scalar_one()
        late = closed_at + timedelta(hours=72, seconds=1)
        assert deposit_life.watch(session, late - timedelta(seconds=1)) == []
        assert [row.amount.text for row in deposit_life.watch(session, late)] == ["50000.00"]
        assert deposit_life.watch(session, late) == [], "once"
        assert (
            session.execute(text("SELECT count(*) FROM outbox_events WHERE name = 'deposit.release_overdue'")).scalar()
            == 1
        )
    (alert,) = finance.ok("GET", "/release-alerts")["items"]
    assert alert["registration_id"] == str(sale.registrations["third_buyer"])
    sale.sign()
    sale.work()
    assert sorted(due(sale)) == [("other_buyer", True, False), ("third_buyer", True, False)]
    admin.ok("POST", f"/payment-orders/{order['id']}/approve")
    finance.ok("POST", f"/payment-orders/{order['id']}/send")
    sale.statement((-50_000_00, order["reference"], "payee"))
    assert stages(sale) == {"buyer": "applied", "other_buyer": "refunding", "third_buyer": "released"}
    assert due(sale) == [("other_buyer", True, False)]
    for row in finance.ok("GET", "/deposits")["items"]:
        parts = [row[name] for name in ("held", "applied", "forfeited", "refunding", "released")]
        assert sum(float(part["amount"]) for part in parts) == float(row["received"]["amount"])


def test_a_failed_auction_is_watched_by_the_preset_of_its_listing(sale) -> None:
    with sale.sessions.begin() as session:
        session.execute(text("UPDATE listings SET preset = 'judicial_cn'"))
        closed_at = session.execute(text("SELECT closed_at FROM auctions")).scalar_one()
        found = deposit_life.releases_due(session, at=closed_at + timedelta(hours=24))
        assert [(one.is_proposed, one.is_overdue) for one in found] == [(False, False)] * 3
        assert all(one.is_overdue for one in deposit_life.releases_due(session, at=closed_at + timedelta(hours=25)))
