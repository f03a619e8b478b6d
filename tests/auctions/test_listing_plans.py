"""Re-listing plans: reading them, scaling by factors, computing times. Pure."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auctions.domain import presets, relisting, terms
from auctions.domain.format_terms import FormatName
from auctions.domain.relisting import Base
from auctions.domain.terms import Terms
from marketplace.documents import BadDocument, Node

OPENS = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
FAILED = OPENS + timedelta(hours=1, seconds=7)
FIRST = Terms(
    currency="CNY", title_zh="债权", start_price_minor=100_000_01, reserve_minor=120_000_01, deposit_minor=20_000_01,
    increment={"kind": "fixed", "amount": "5000.01"}, registration_closes_at=OPENS - timedelta(hours=2),
    opens_at=OPENS, ends_at=OPENS + timedelta(hours=1),
)  # fmt: skip
BASE = Base(FIRST.start_price_minor, FIRST.reserve_minor, FIRST.deposit_minor, FIRST.increment)
PLAIN, JUDICIAL, DGF = (presets.versions(name)[-1] for name in ("plain", "judicial_cn", "dgf"))


def plan(*attempts, **more):
    return relisting.read_plan(Node({"attempts": list(attempts)} | more, "/relisting_plan"), "CNY")


def following(attempt, *, base=BASE, preset=PLAIN, notice=7, before=FIRST):
    return relisting.next_terms(before, base, plan(attempt)["attempts"][0], preset=preset, notice=notice, at=FAILED)


def test_factors_left_out_are_that_of_the_start():
    read = plan({"format": "english", "start": "0.5"})
    attempt = {"format": "english", "start": "0.5", "step": "0.5", "deposit": "0.5", "terms": {}}
    assert read == {"publish": False, "notice_days": 7, "attempts": [attempt]}


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"attempts": []}, ""),
        ({"attempts": [{"format": "english"}]}, "/attempts/0/start"),
        ({"attempts": [{"format": "english", "start": "0"}]}, "/attempts/0/start"),
        ({"attempts": [{"format": "english", "start": "1.01"}]}, "/attempts/0/start"),
        ({"attempts": [{"format": "package", "start": "1"}, {"format": "dutch", "start": "1"},
                       {"format": "package", "start": "1"}]}, "/attempts/2/format"),
        ({"attempts": [{"format": "package", "start": "1", "terms": {"lots": []}}]}, "/attempts/0/terms/lots"),
        ({"attempts": [{"format": "english", "start": "1", "increment": {"kind": "fixed"}}]},
         "/attempts/0/increment/amount"),
        ({"attempts": [{"format": "english", "start": "1", "step": "1",
                        "increment": {"kind": "fixed", "amount": "1.00"}}]}, "/attempts/0/step"),
        ({"attempts": [{"format": "english", "start": "1", "terms": {"steps": {}}}]}, "/attempts/0/terms/steps"),
        ({"attempts": [{"format": "two_phase", "start": "1", "terms": {"cycle_seconds": 0}}]},
         "/attempts/0/terms/cycle_seconds"),
        ({"attempts": [{"format": "english", "start": "1"}], "publish": 1}, "/publish"),
        ({"attempts": [{"format": "english", "start": "1"}], "notice_days": 0}, "/notice_days"),
    ],
)  # fmt: skip
def test_a_plan_is_read_strictly(given, pointer):
    with pytest.raises(BadDocument) as caught:
        relisting.read_plan(Node(given, "/relisting_plan"), "CNY")
    assert caught.value.errors[0]["pointer"].startswith("/relisting_plan" + (pointer or "/attempts"))


def test_half_rounds_every_amount_up():
    values = following({"format": "english", "start": "0.5"})
    assert values["start_price_minor"] == 50_000_01
    assert values["reserve_minor"] == 60_000_01
    assert values["deposit_minor"] == 10_000_01
    assert values["increment"] == {"kind": "fixed", "amount": "2500.01"}


def test_bands_and_percentages_scale_their_amounts():
    bands = {"kind": "bands", "bands": [{"from": "0.00", "amount": "0.01"}, {"from": "0.01", "amount": "3.00"}]}
    base = Base(FIRST.start_price_minor, None, 0, bands)
    assert following({"format": "english", "start": "0.5"}, base=base)["increment"] == {
        "kind": "bands",
        "bands": [{"from": "0.00", "amount": "0.01"}, {"from": "0.01", "amount": "1.50"}],
    }
    percent = {"kind": "percent", "percent": "5", "minimum": "1.01"}
    base = Base(FIRST.start_price_minor, None, 0, percent)
    assert following({"format": "english", "start": "0.5"}, base=base)["increment"] == percent | {"minimum": "0.51"}


def test_the_hybrid_dutch_of_loki_falls_from_half_to_a_fifth_of_it():
    template = DGF.document["relisting"]["loki"]["plan"]
    attempt = relisting.read_plan(Node(template), "CNY")["attempts"][1]
    values = relisting.next_terms(FIRST, BASE, attempt, preset=DGF, notice=20, at=FAILED)
    steps = values["format_terms"]["steps"]
    assert (values["format"], values["start_price_minor"], values["reserve_minor"]) == ("hybrid_dutch", 50_000_01, None)
    assert steps == {"count": 81, "seconds": 300, "drop": "500.00", "pause_seconds": 0}
    assert values["ends_at"] is None
    made = Terms(currency="CNY", **values)
    assert terms.rules_document(made)["steps"] == steps
    assert terms.scheduled_end(terms.rules_document(made)) > made.opens_at


def in_lots(*reserves):
    rows = [{"lot": f"L{number}", "reserve": reserve} for number, reserve in enumerate(reserves, start=1)]
    return Terms(
        currency="CNY", title_zh="债权", deposit_minor=20_000_01, registration_closes_at=OPENS, opens_at=OPENS,
        ends_at=OPENS + timedelta(hours=1), format=FormatName.PACKAGE,
        format_terms={"lots": rows, "unsold_lots_count": "nothing"},
    )  # fmt: skip


def test_lots_that_are_left_are_offered_with_scaled_reserves_and_their_share_of_the_deposit():
    first = in_lots("5000.01", "3000.00", "9000.00")
    base = relisting.base_of(first, ["L1", "L3"], together=True)
    assert (base.start_price_minor, base.deposit_minor) == (None, 16_470_60)  # 20,000.01 × 14,000.01 / 17,000.01
    values = following({"format": "package", "start": "0.5", "deposit": "1"}, base=base, before=first)
    assert values["format_terms"] == {
        "lots": [{"lot": "L1", "reserve": "2500.01"}, {"lot": "L3", "reserve": "4500.00"}],
        "unsold_lots_count": "nothing",
    }
    assert (values["start_price_minor"], values["increment"], values["deposit_minor"]) == (None, None, 16_470_60)
    everything = relisting.base_of(first, ["L1", "L2", "L3"], together=True)
    assert everything.deposit_minor == first.deposit_minor
    assert relisting.base_of(in_lots("0.00"), ["L1"], together=True).deposit_minor == first.deposit_minor


def test_a_lot_by_itself_starts_at_its_scaled_reserve_with_the_increment_of_the_attempt():
    first = in_lots("5000.01", "3000.00")
    base = relisting.base_of(first, ["L1"], together=False)
    step = {"kind": "percent", "percent": "5", "minimum": "10.00"}
    values = following({"format": "english", "start": "0.5", "increment": step}, base=base, before=first)
    assert (values["format"], values["start_price_minor"], values["increment"]) == ("english", 2_500_01, step)
    assert "lots" not in values["format_terms"]
    assert relisting.titles_of_lot(values, "L1") == {"title_zh": "债权: L1"}
    assert len(relisting.titles_of_lot({"title_zh": "债" * 200, "title_en": None}, "L1")["title_zh"]) == 200


def test_a_plan_says_whether_the_next_attempt_sells_lots_apart():
    made = plan({"format": "package", "start": "1"}, {"format": "dutch", "start": "1"})
    assert [relisting.sells_apart(made, step) for step in (0, 1, 2)] == [False, True, False]
    assert not relisting.sells_apart(None, 0)


def test_every_template_of_a_preset_is_a_plan():
    templates = [row["plan"] for preset in presets.PRESETS for row in preset.document["relisting"].values()]
    assert len(templates) == 3
    for template in templates:
        assert relisting.read_plan(Node(template), "CNY")["attempts"]


def test_bidding_opens_at_the_same_time_of_day_after_the_notice():
    values = following({"format": "english", "start": "0.5"}, notice=7)
    # 21:00:07 in Shanghai and seven full days: the first 20:00 after it is the eighth day's
    assert values["opens_at"] == OPENS + timedelta(days=8)
    assert values["ends_at"] - values["opens_at"] == timedelta(hours=1)
    assert values["opens_at"] - values["registration_closes_at"] == timedelta(hours=2)


def test_the_preset_may_ask_for_more_notice_and_another_deposit():
    values = following({"format": "english", "start": "0.80"}, preset=JUDICIAL)
    assert values["opens_at"] == OPENS + timedelta(days=16)
    assert values["start_price_minor"] == 80_000_01
    assert values["deposit_minor"] == 16_000_00  # rounded up it is 16,000.01, more than a fifth of the start


def test_a_time_of_day_that_is_skipped_is_moved_by_a_day():
    opened = datetime(2026, 3, 20, 1, 30, tzinfo=UTC)  # 02:30 in Berlin
    at = datetime(2026, 3, 22, 1, 30, tzinfo=UTC)
    opens = relisting.next_opening(opened, at=at, days=7, zone="Europe/Berlin")
    assert opens == datetime(2026, 3, 30, 0, 30, tzinfo=UTC)


@given(st.integers(1, 2**55), st.integers(1, 100))
def test_a_factor_never_rounds_a_price_down(start, hundredths):
    factor = f"0.{hundredths:02d}" if hundredths < 100 else "1"
    base = Base(start, None, 0, {"kind": "fixed", "amount": "1.00"})
    price = following({"format": "english", "start": factor}, base=base)["start_price_minor"]
    assert price * 100 >= start * hundredths > (price - 1) * 100


def test_the_same_format_keeps_its_terms_and_another_takes_its_own():
    before = Terms(
        currency="CNY", start_price_minor=100_00, deposit_minor=0, opens_at=OPENS, ends_at=OPENS + timedelta(hours=3),
        registration_closes_at=OPENS, format=FormatName.DUTCH,
        format_terms={"steps": {"count": 4, "seconds": 60, "drop": "10.01", "pause_seconds": 0}},
    )  # fmt: skip
    base = Base(100_00, None, 0, None)
    same = following({"format": "dutch", "start": "0.5"}, base=base, before=before)
    assert same["format_terms"]["steps"]["drop"] == "5.00"  # a step down is rounded down
    other = following({"format": "english", "start": "0.5", "duration_seconds": 86400}, base=base, before=before)
    assert other["format_terms"] == {}
    assert other["ends_at"] - other["opens_at"] == timedelta(days=1)
