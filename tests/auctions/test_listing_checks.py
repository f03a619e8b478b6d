"""Presets and their legal checks at their exact borders; every refusal names its source."""

import dataclasses
import itertools
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auctions.domain import calendars, checks, format_terms, presets, wall_times
from auctions.domain.awards import AwardTerms
from auctions.domain.format_terms import FormatName
from auctions.domain.terms import AssetKind, Terms

PUBLISHED = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
DAY = timedelta(days=1)
JUDICIAL = presets.versions("judicial_cn")[-1]
SALE = Terms(
    currency="CNY", title_zh="债权", start_price_minor=70_000_00, deposit_minor=7_000_00,
    increment={"kind": "fixed", "amount": "500.00"}, opens_at=PUBLISHED + 30 * DAY, ends_at=PUBLISHED + 31 * DAY,
    registration_closes_at=PUBLISHED + 30 * DAY, preset="judicial_cn",
)  # fmt: skip
FACTS = checks.Facts(appraisal_minor=100_000_00, previous_start_minor=None, published_at=PUBLISHED)


def codes(preset=JUDICIAL, facts=FACTS, **changes):
    found = checks.judge(dataclasses.replace(SALE, **changes), preset, facts)
    for gap in found:
        assert gap.source["law"]["zh"]
        assert gap.source["grade"] in {"P", "S", "K"}
        assert gap.source["law"]["en"] in gap.detail
        assert gap.document()["source"] == gap.source
    return [gap.code for gap in found]


def again(attempt, previous, **changes):
    facts = dataclasses.replace(FACTS, previous_start_minor=previous)
    return codes(facts=facts, attempt=attempt, **changes)


def test_a_sale_on_every_border_passes():
    assert codes() == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"start_price_minor": 69_999_99}, "start_below_appraisal_share"),
        ({"reserve_minor": 70_000_01}, "reserve_not_start_price"),
        ({"opens_at": PUBLISHED + 30 * DAY - timedelta(milliseconds=1)}, "notice_too_short"),
        ({"deposit_minor": 3_499_99}, "deposit_outside_range"),
        ({"deposit_minor": 14_000_01}, "deposit_outside_range"),
        ({"ends_at": PUBLISHED + 31 * DAY - timedelta(milliseconds=1)}, "bidding_time_too_short"),
        ({"soft_close_window_seconds": 299}, "soft_close_differs"),
        ({"soft_close_extension_seconds": 301}, "soft_close_differs"),
        ({"format_terms": {"soft_close_base": "end"}}, "soft_close_differs"),
        ({"hard_end_at": PUBLISHED + 32 * DAY}, "soft_close_differs"),
        ({"minimum_bidders": 2}, "one_bidder_must_suffice"),
        ({"format_terms": {"minimum_raises": 1}}, "one_bidder_must_suffice"),
        ({"format": FormatName.SEALED_FIRST_PRICE}, "format_not_in_preset"),
    ],
)
def test_one_step_beyond_a_border_is_refused_and_nothing_else(changes, code):
    assert codes(**changes) == [code]


@pytest.mark.parametrize(
    "changes",
    [{"reserve_minor": 70_000_00}, {"deposit_minor": 3_500_00}, {"deposit_minor": 14_000_00},
     {"asset_kind": AssetKind.MOVABLES, "opens_at": PUBLISHED + 15 * DAY}],
)  # fmt: skip
def test_on_the_border_it_passes(changes):
    assert codes(**changes) == []


def test_floors_round_up_and_caps_down():
    odd = dataclasses.replace(FACTS, appraisal_minor=100_000_01)
    assert codes(facts=odd) == ["start_below_appraisal_share"]
    assert codes(facts=odd, start_price_minor=70_000_01) == []
    start = 70_000_01  # 5 % is 3,500.0005, 20 % is 14,000.002
    assert codes(start_price_minor=start, deposit_minor=3_500_00) == ["deposit_outside_range"]
    assert codes(start_price_minor=start, deposit_minor=3_500_01) == []
    assert codes(start_price_minor=start, deposit_minor=14_000_00) == []
    assert codes(start_price_minor=start, deposit_minor=14_000_01) == ["deposit_outside_range"]


def test_the_second_sale_has_its_own_floor_and_notice():
    # no longer held to the appraisal, but to the first sale: 80 % of 70,000.01 is 56,000.008
    near = {"opens_at": PUBLISHED + 15 * DAY, "ends_at": PUBLISHED + 16 * DAY, "deposit_minor": 5_600_00}
    assert again(2, 70_000_01, start_price_minor=56_000_00, **near) == ["start_below_share_of_first_sale"]
    assert again(2, 70_000_01, start_price_minor=56_000_01, **near) == []
    early = near | {"opens_at": PUBLISHED + 15 * DAY - timedelta(milliseconds=1)}
    assert again(2, 70_000_01, start_price_minor=56_000_01, **early) == ["notice_too_short"]
    week = near | {"opens_at": PUBLISHED + 7 * DAY, "asset_kind": AssetKind.MOVABLES}
    assert again(2, 70_000_01, start_price_minor=56_000_01, **week) == []
    clock = near | {"format_terms": {"first_bid_clock_seconds": 86_400}}
    assert again(3, 56_000_01, start_price_minor=56_000_00, **clock) == ["start_below_second_sale"]


def test_only_the_sale_after_two_failures_has_a_clock_of_a_day():
    """Art. 20 extends both auctions by five minutes; the clock of the sale that follows is a day (practice, S)."""
    phases = {"format": FormatName.TWO_PHASE, "format_terms": {"cycle_seconds": 86_400}}
    for attempt in (1, 2):
        assert "format_not_in_preset" in codes(JUDICIAL, attempt=attempt, **phases)
    assert "format_not_in_preset" not in codes(JUDICIAL, attempt=3, **phases)
    clock = {"format_terms": {"first_bid_clock_seconds": 86_400}}
    for attempt in (1, 2):
        assert "first_bid_clock_differs" in codes(JUDICIAL, attempt=attempt, **clock)
        assert "first_bid_clock_differs" not in codes(JUDICIAL, attempt=attempt)
    assert "first_bid_clock_differs" not in codes(JUDICIAL, attempt=3, **clock)
    for wrong in ({}, {"first_bid_clock_seconds": 86_399}):
        assert "first_bid_clock_differs" in codes(JUDICIAL, attempt=3, format_terms=wrong)
    assert "bidding_time_too_short" in codes(JUDICIAL, attempt=3, format_terms={"first_bid_clock_seconds": 86_399})
    short = phases | {"format_terms": {"cycle_seconds": 300}}
    assert "cycle_differs" in codes(JUDICIAL, attempt=3, **short)
    assert "cycle_differs" not in codes(JUDICIAL, attempt=3, **phases)


def test_a_check_is_silent_about_what_is_not_said_yet():
    empty = Terms(currency="CNY", preset="judicial_cn")
    assert checks.judge(empty, JUDICIAL, FACTS) == []


@given(st.integers(1, 2**62), st.sampled_from(["0.70", "0.80", "0.05", "0.20", "1"]))
def test_a_floor_is_the_least_amount_that_reaches_the_share(amount, rate):
    share = {"0.70": (7, 10), "0.80": (8, 10), "0.05": (1, 20), "0.20": (1, 5), "1": (1, 1)}[rate]
    floor, cap = checks.floor_of(amount, rate, "CNY"), checks.cap_of(amount, rate, "CNY")
    assert floor * share[1] >= amount * share[0] > (floor - 1) * share[1]
    assert cap * share[1] <= amount * share[0] < (cap + 1) * share[1]


@pytest.mark.parametrize(
    ("at", "days", "opens"),
    [
        ("2026-03-28T01:30:00+00:00", 1, "2026-03-29T01:30:00+00:00"),  # 02:30 is skipped: 03:30 is a full day later
        ("2026-10-24T00:30:00+00:00", 1, "2026-10-25T01:30:00+00:00"),  # 02:30 happens twice: the second ends the day
        ("2026-03-20T11:00:00+00:00", 15, "2026-04-04T10:00:00+00:00"),  # noon to noon, an hour less
    ],
)
def test_days_of_notice_are_days_of_the_clock_on_the_wall(at, days, opens):
    reached = checks.earliest_opening(datetime.fromisoformat(at), days, "Europe/Berlin")
    assert reached == datetime.fromisoformat(opens)


def test_yindeng_and_debitos():
    yindeng, debitos = presets.versions("yindeng_cn")[-1], presets.versions("debitos_eu")[-1]
    free = {"format": FormatName.TWO_PHASE, "format_terms": {"cycle_seconds": 180}}
    half_hour = free | {"ends_at": SALE.opens_at + timedelta(minutes=30)}
    assert codes(yindeng, **half_hour) == []
    assert codes(yindeng, **half_hour | {"ends_at": SALE.opens_at + timedelta(minutes=29)}) == ["free_phase_too_short"]
    assert codes(yindeng, **half_hour | {"format_terms": {"cycle_seconds": 179}}) == ["cycle_differs"]
    assert codes(yindeng) == ["format_not_in_preset"]
    assert codes(debitos) == ["soft_close_differs"]
    assert codes(debitos, soft_close_window_seconds=180, soft_close_extension_seconds=180) == []


def test_the_data_of_every_preset_is_whole():
    assert presets.names() == ["plain", "judicial_cn", "yindeng_cn", "debitos_eu", "dgf", "sealed_us"]
    assert len({preset.hash for preset in presets.PRESETS}) == len(presets.PRESETS)
    for preset in presets.PRESETS:
        document = preset.document
        assert {check["kind"] for check in preset.checks} <= set(checks.KINDS)
        assert all(check["source"]["law"]["zh"] and check["source"]["grade"] in {"P", "S"} for check in preset.checks)
        assert {FormatName(name) for name in document["formats"]}
        assert preset.defaults["format"] in document["formats"]
        assert document["title"]["zh"]
        assert document["title"]["en"]
        assert calendars.calendar(preset.calendar)
        assert wall_times.zone_of(preset.zone)
        assert AwardTerms.of_document(preset.awards).zone == preset.zone
        assert set(document["visibility"]["fields"]) == {"start_price", "increment", "deposit"}


def test_versions_follow_one_another_without_gap_or_overlap():
    for name in presets.names():
        rows = presets.versions(name)
        assert [row.version for row in rows] == list(range(1, len(rows) + 1))
        assert all(
            row.valid_until == later.valid_from if row.valid_until else row.valid_from == later.valid_from
            for row, later in itertools.pairwise(rows)
        )
        assert rows[-1].valid_until is None
    assert presets.in_force("yindeng_cn", date(2025, 10, 31)).version == 1
    assert presets.in_force("yindeng_cn", date(2025, 11, 1)).version == 2
    with pytest.raises(presets.PresetNotInForce):
        presets.in_force("judicial_cn", date(2016, 12, 31))
    with pytest.raises(presets.UnknownPreset) as caught:
        presets.in_force("nowhere", date(2026, 1, 1))
    assert caught.value.errors[0]["pointer"] == "/preset"


PUBLISHED_HASHES = {
    ("plain", 1): "sha256:b8e8216d86c567cec67d022b91f7a35c0222f8e0c6497a5aed1fa82fdf9f45d4",
    ("judicial_cn", 1): "sha256:93fab53c20b21fb751190df82bcd4da812517483602a292bb484126a9962050b",
    ("judicial_cn", 2): "sha256:482f8e421eaa7d3a85447f8cfee50f0efa74843a7d1267bec6477f566da6166f",
    ("yindeng_cn", 1): "sha256:28005a4d08a12867d33cef9890f927693135f64651cd2ed2a056f85c51f552a9",
    ("yindeng_cn", 2): "sha256:321ce20082ed897f832763cb5c0d90ff94ede2b148446968584ac7aa755f6778",
    ("debitos_eu", 1): "sha256:f8a33b041ad9a81ade7f8bae5f4cfde112d8eaf7a4b77177fa98b1dfe3a10087",
    ("dgf", 1): "sha256:87f861cec92abbdc8c5b50954ac28cd48196760c782b696f43c7e5952e6f2f63",
    ("sealed_us", 1): "sha256:1821081d402aaee8a29cde1d3be65ebe28d9902ca2819445e505bd6b8c942fdb",
}
"""The hash of every published version: an announcement names it, so none of them may ever change."""


def test_no_published_version_was_changed():
    assert {(row.name, row.version): row.hash for row in presets.PRESETS} == PUBLISHED_HASHES


def test_a_version_that_was_put_right_holds_no_more():
    first, second = presets.versions("judicial_cn")
    assert presets.in_force("judicial_cn", date(2026, 3, 2)) is second
    plans = [row.document["relisting"]["judicial"]["plan"]["attempts"][1]["format"] for row in (first, second)]
    assert plans == ["two_phase", "english"]


def test_since_november_2025_the_start_price_is_for_the_registered_alone():
    old, new = presets.versions("yindeng_cn")
    everyone, registered = presets.Audience.EVERYONE, presets.Audience.REGISTERED
    assert (old.hidden_from(everyone), new.hidden_from(everyone)) == (frozenset(), {"start_price"})
    assert new.hidden_from(registered) == frozenset()


def test_dgf_has_its_deadlines_and_its_window():
    dgf = presets.versions("dgf")[-1]
    terms = AwardTerms.of_document(dgf.awards)
    assert (terms.protocol_days, terms.contract_days, terms.prolongation_days) == (4, 20, (42, 132))
    assert dgf.rectification["working_days"] == 2
    assert set(dgf.rectification["fields"]).isdisjoint({"deposit", "format", "preset"})


def test_every_key_of_rules_has_a_place_in_the_terms():
    for name in FormatName:
        assert format_terms.keys(name) <= {*format_terms.COLUMNS, *format_terms.NAMES}, name
