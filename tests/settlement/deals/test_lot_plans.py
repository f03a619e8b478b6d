"""Lots that found no buyer, or lost it, are re-listed by their listing's plan; the list of lots tells each fate."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from auctions import service
from auctions.domain.lifecycles import AwardState, ListingState
from auctions.domain.lots import LotState, state_of
from tests.auctions.conftest import OPENS, cny, stage  # noqa: F401 - a fixture
from tests.settlement.deals.lot_sale import CUTS, LOTS, LotSale

TOGETHER = {"attempts": [{"format": "package", "start": "0.5"}, {"format": "package", "start": "0.4"}]}
STEP = {"kind": "fixed", "amount": "100.00"}
APART = {
    "publish": True,
    "attempts": [
        {"format": "english", "start": "0.5", "increment": STEP},
        {"format": "dutch", "start": "0.4", "terms": {"steps": {"count": 3, "seconds": 60, "drop_rate": "0.1"}}},
    ],
}


@pytest.fixture
def lots(api, people, sessions, clock, work, deliver, stage):  # noqa: F811 - the fixture
    sale = LotSale(api, people, sessions, clock, work)
    sale.freeze(deliver, stage)
    return sale


def announced(lots, plan, **more):
    listing = lots.draft(lots.package_id, relisting_plan=plan, **more)
    lots.cut(listing)
    return begun(lots, lots.publish(listing))


def begun(lots, listing):
    with lots.sessions.begin() as session:
        session.execute(text("UPDATE auctions SET attempt_interval_seconds = 0"))
        session.execute(text("UPDATE user_sessions SET expires_at = expires_at + interval '90 days'"))
    shares = lots.collect(listing["auction_id"])
    lots.register(listing)
    lots.stage.at(OPENS + timedelta(minutes=1))
    return listing, shares


def drafts(lots):
    rows = lots.api.as_(lots.people.seller).ok("GET", "/listings?limit=100")["items"]
    return {row["id"]: row for row in rows if row["previous_listing_id"]}


def listing(lots, listing_id, who=None):
    return lots.api.as_(who or lots.people.seller).ok("GET", f"/listings/{listing_id}")


def fates(lots, listing_id, who=None):
    shown = lots.api.as_(who or lots.people.third_buyer).ok("GET", f"/listings/{listing_id}/lots")["lots"]
    return {row["lot"]: row for row in shown}


def states(lots, listing_id):
    return {name: row["state"] for name, row in fates(lots, listing_id).items()}


def test_unsold_lots_are_offered_again_together_and_sold_ones_are_not(lots) -> None:
    first, shares = announced(lots, TOGETHER)
    assert states(lots, first["id"]) == {"L1": "open", "L2": "open", "L3": "open"}
    assert lots.bid(first, "buyer", "30000.01", "L1").status_code == 201
    lots.open(first, shares)
    (second,) = drafts(lots).values()
    second = listing(lots, second["id"])
    assert (second["state"], second["format"], second["attempt"], second["plan_step"]) == ("draft", "package", 2, 1)
    assert second["format_terms"]["lots"] == [{"lot": "L2", "reserve": "1500.00"}, {"lot": "L3", "reserve": "4500.00"}]
    assert second["deposit"] == cny("7058.83")  # 20,000.00 × 12,000 / 17,000 is 14,117.65; half of it, rounded up
    assert second["package_id"] != first["package_id"]
    old, new = (fates(lots, one["id"], lots.people.seller) for one in (first, second))
    assert {name: new[name]["loans"] for name in new} == {name: old[name]["loans"] for name in ("L2", "L3")}
    assert states(lots, first["id"]) == {"L1": "awarded", "L2": "unsold", "L3": "unsold"}
    award = fates(lots, first["id"])["L1"]["result"]
    assert (award["price"], award["award_state"], award["lots"]) == (cny("30000.01"), "pending", ["L1"])

    refused = lots.cut(second, [{"lot": "L2", "rest": True}], status=409)
    assert refused["code"] == "lots_fixed"
    fixed = lots.api.as_(lots.people.seller).patch(
        f"/listings/{second['id']}", json={"lots": LOTS}, headers={"If-Match": f'"{second["version"]}"'}
    )
    assert fixed.get_json()["code"] == "plan_fixed"


def test_a_winner_that_fails_gives_its_lot_to_the_plan_and_may_not_bid_for_it_again(lots) -> None:
    first, shares = announced(lots, TOGETHER)
    assert lots.bid(first, "buyer", "30000.01", "L1").status_code == 201
    result = lots.open(first, shares)
    award = result["awards"][0]["id"]
    lots.api.as_(lots.people.admin).ok(
        "POST", f"/awards/{award}/fail", json={"reason": "did not pay", "cause": "buyer_defaulted"}
    )
    lots.work()
    made = {tuple(lot["lot"] for lot in row["format_terms"]["lots"]): row for row in drafts(lots).values()}
    assert set(made) == {("L2", "L3"), ("L1",)}
    shown = fates(lots, first["id"])["L1"]
    assert (shown["state"], shown["result"]["failure_cause"]) == ("defaulted", "buyer_defaulted")
    again = made["L1",]
    lots.admit(again["package_id"])
    published = lots.publish(again)
    assert published["format_terms"]["lots"] == [{"lot": "L1", "reserve": "2500.00"}]
    refused = lots.api.as_(lots.people.buyer).post(f"/listings/{again['id']}/registrations")
    assert (refused.status_code, refused.get_json()["code"]) == (403, "barred_after_default")
    lots.api.as_(lots.people.third_buyer).ok("POST", f"/listings/{again['id']}/registrations", 201)
    assert states(lots, first["id"])["L1"] == "relisted"
    assert fates(lots, first["id"])["L1"]["next_listing_id"] == again["id"]


def test_nothing_sold_is_offered_again_whole(lots) -> None:
    first, shares = announced(lots, TOGETHER | {"publish": True})
    assert lots.open(first, shares)["outcome"] == "unsold"
    (second,) = drafts(lots).values()
    assert (second["state"], second["package_id"]) == ("published", first["package_id"])
    assert second["deposit"] == cny("10000.00")
    assert [lot["reserve"] for lot in second["format_terms"]["lots"]] == ["2500.00", "1500.00", "4500.00"]
    assert set(states(lots, first["id"]).values()) == {"relisted"}
    announcement = lots.api.as_(lots.people.buyer).ok("GET", f"/listings/{second['id']}/announcements")["items"][0]
    assert [row["lot"] for row in announcement["document"]["lots"]] == ["L1", "L2", "L3"]


def test_a_plan_may_sell_each_lot_that_is_left_by_itself(lots) -> None:
    first, shares = announced(lots, APART)
    assert lots.bid(first, "buyer", "30000.01", "L1").status_code == 201
    lots.open(first, shares)
    made = {row["planned_lot"]: row for row in (listing(lots, one) for one in drafts(lots))}
    assert set(made) == {"L2", "L3"}
    assert {name: row["start_price"] for name, row in made.items()} == {"L2": cny("1500.00"), "L3": cny("4500.00")}
    assert {name: row["deposit"] for name, row in made.items()} == {"L2": cny("1764.71"), "L3": cny("5294.12")}
    for name, row in made.items():
        assert (row["format"], row["increment"], row["title_zh"]) == ("english", STEP, f"分包: {name}")
        assert row["state"] == "published"
    assert len({row["package_id"] for row in made.values()} | {first["package_id"]}) == 3

    # one of them fails as well, and its plan goes on with the same lot
    lots.stage.at(datetime.fromisoformat(made["L2"]["ends_at"]) + timedelta(seconds=1))
    with lots.sessions.begin() as session:
        assert service.close_due(session, lots.clock.at) == 2
    lots.work()
    thirds = [listing(lots, one) for one, row in drafts(lots).items() if row["attempt"] == 3]
    third = next(row for row in thirds if row["planned_lot"] == "L2")
    assert (third["planned_lot"], third["format"], third["start_price"]) == ("L2", "dutch", cny("1200.00"))
    assert (third["title_zh"], third["package_id"]) == ("分包: L2", made["L2"]["package_id"])


def test_a_package_of_which_nothing_was_sold_falls_into_its_lots(lots) -> None:
    first, shares = announced(lots, APART)
    lots.open(first, shares)
    made = [listing(lots, one) for one in drafts(lots)]
    assert sorted(row["planned_lot"] for row in made) == ["L1", "L2", "L3"]
    assert lots.package(first["package_id"])["state"] == "cancelled"
    assert set(lots.case_states().values()) == {"bundled"}


def test_what_lies_in_no_lot_is_kept_back_and_never_planned(lots) -> None:
    draft = lots.draft(lots.package_id, relisting_plan=APART, lots=LOTS[:2])
    lots.cut(draft, CUTS[:2], rest_not_for_sale=True)
    first, shares = begun(lots, lots.publish(draft))
    lots.open(first, shares)
    assert sorted(listing(lots, one)["planned_lot"] for one in drafts(lots)) == ["L1", "L2"]
    assert sorted(row[0] for row in lots.sql("SELECT state FROM packages")) == [
        "cancelled",
        "frozen",
        "listed",
        "listed",
    ]


def test_a_withdrawn_listing_of_lots_is_not_followed(lots) -> None:
    first, _ = announced(lots, TOGETHER)
    lots.api.as_(lots.people.admin).ok("POST", f"/listings/{first['id']}/withdraw", json={"reason": "upheld"})
    lots.work()
    assert drafts(lots) == {}
    assert set(states(lots, first["id"]).values()) == {"withdrawn"}


@pytest.mark.parametrize(
    ("state", "awards", "relisted", "expected"),
    [
        ("draft", [], False, "draft"),
        ("published", [], False, "open"),
        ("withdrawn", [], True, "withdrawn"),
        ("closed", [], False, "unsold"),
        ("closed", [], True, "relisted"),
        ("closed", ["released"], False, "unsold"),
        ("closed", ["pending"], False, "awarded"),
        ("closed", ["failed", "waiting"], False, "awarded"),
        ("closed", ["failed", "protocol_confirmed"], True, "awarded"),
        ("closed", ["failed", "contracted"], False, "sold"),
        ("closed", ["failed"], False, "defaulted"),
        ("closed", ["failed", "released"], True, "relisted"),
    ],
)
def test_the_state_of_a_lot(state, awards, relisted, expected) -> None:
    found = state_of(ListingState(state), [AwardState(one) for one in awards], relisted=relisted)
    assert found is LotState(expected)


def test_the_contract_makes_a_lot_sold(lots) -> None:
    first, shares = announced(lots, TOGETHER)
    assert lots.bid(first, "buyer", "30000.01", "L1").status_code == 201
    lots.open(first, shares)
    lots.settle("buyer")
    shown = fates(lots, first["id"])["L1"]
    assert (shown["state"], shown["result"]["award_state"]) == ("sold", "contracted")
