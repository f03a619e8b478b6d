"""From the hammer to the contract: deadlines, prolongations, defaults, the next in line; two people at once."""

import io
import threading
import uuid
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from auctions import award_turns, awards, eligibility, service
from auctions.domain import presets
from auctions.domain.awards import AwardTerms, Deadlines, FailureCause, Step, deadlines, overdue, prolonged
from auctions.domain.lifecycles import AwardState
from marketplace.actor import SYSTEM
from marketplace.errors import Failure
from tests.auctions.conftest import ENDS, cny

DGF = AwardTerms.of_document(presets.in_force("dgf", date(2026, 3, 2)).awards)
DAY = timedelta(days=1)


def rows(stage, statement):
    with stage.sessions() as session:
        return [tuple(row) for row in session.execute(text(statement))]


@pytest.fixture
def sale(stage, monkeypatch):
    """A function that ends an auction under a preset: `buyer` at 125000, `other_buyer` behind at 120000."""

    def end(preset="dgf"):
        chosen = presets.in_force(preset, date(2026, 3, 2))
        people, listing = stage.people, stage.live(stage.people.buyer, stage.people.other_buyer)
        assert stage.bid(listing, people.other_buyer, "120000.00").status_code == 201
        assert stage.bid(listing, people.buyer, "125000.00").status_code == 201
        stage.at(ENDS)
        monkeypatch.setattr(eligibility, "preset_of", lambda *_: chosen)
        with stage.sessions.begin() as session:
            assert service.close_due(session, ENDS) == 1
        return [str(row[0]) for row in rows(stage, "SELECT id FROM awards ORDER BY place")]

    return end


def post(stage, who, award, verb, **body):
    return stage.api.as_(who).post(f"/awards/{award}/{verb}", json=body or None)


def prolong(stage, who, award, number, content=b"%PDF decision"):
    data = {"file": (io.BytesIO(content), "decision.pdf"), "number": str(number), "reason": "bank holiday"}
    return stage.api.as_(who).post(f"/awards/{award}/prolong", data=data)


def refusal(response):
    return response.status_code, response.get_json().get("code")


def shown(stage, award, who=None):
    return stage.api.as_(who or stage.people.seller).ok("GET", f"/awards/{award}")


@given(st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis wants naive bounds
def test_each_deadline_is_later_than_the_one_before_and_is_late_from_its_instant_on(since):
    due = deadlines(DGF, since=since)
    ladder = [since, due.protocol, due.contract, *(prolonged(DGF, number=n, since=since) for n in (1, 2))]
    assert ladder == sorted(set(ladder))
    assert prolonged(DGF, number=3, since=since) is None
    for state, step, limit in (
        (AwardState.PENDING, Step.PROTOCOL, due.protocol),
        (AwardState.PROTOCOL_CONFIRMED, Step.CONTRACT, due.contract),
    ):
        assert overdue(DGF, state, due, at=limit - timedelta(milliseconds=1)) is None
        assert overdue(DGF, state, due, at=limit) is step
    assert overdue(DGF, AwardState.CONTRACTED, due, at=due.contract + DAY) is None


def test_terms_that_shorten_are_no_terms():
    for wrong in ({"contract_days": 20, "prolongation_days": (42, 42)}, {"prolongation_days": (1,)}):
        with pytest.raises(ValueError, match="later"):
            AwardTerms(**wrong)
    with pytest.raises(ValueError, match="two"):
        AwardTerms(contract_days=1, prolongation_days=(2, 3, 4))
    assert overdue(AwardTerms(), AwardState.PENDING, Deadlines(None, None), at=ENDS) is None


def test_protocol_contract_and_two_prolongations(stage, sale):
    people, (winner, _) = stage.people, sale()
    before = shown(stage, winner)
    # Monday 2 March 2026, 15:00 in Kyiv; the end of the 4th and the 20th working day
    assert (before["protocol_due_at"], before["contract_due_at"]) == (
        "2026-03-06T22:00:00.000Z", "2026-03-30T21:00:00.000Z",
    )  # fmt: skip
    with stage.sessions.begin() as session, pytest.raises(awards.ProtocolNotConfirmed):
        service.confirm_contract(session, award_id=uuid.UUID(winner), actor=SYSTEM, at=ENDS)
    assert refusal(post(stage, people.buyer, winner, "confirm-protocol")) == (403, "role_missing")
    assert refusal(post(stage, people.other_seller, winner, "confirm-protocol")) == (404, "not_found")
    assert post(stage, people.seller, winner, "confirm-protocol").get_json()["state"] == "protocol_confirmed"
    assert refusal(post(stage, people.seller, winner, "confirm-protocol")) == (409, "illegal_move")
    assert refusal(prolong(stage, people.seller, winner, 2)) == (409, "no_prolongation")
    assert refusal(prolong(stage, people.seller, winner, 1, b"")) == (422, "document_missing")
    first = prolong(stage, people.seller, winner, 1).get_json()
    assert (first["previous_due_at"], first["due_at"]) == ("2026-03-30T21:00:00.000Z", "2026-04-29T21:00:00.000Z")
    assert refusal(prolong(stage, people.seller, winner, 1)) == (409, "no_prolongation")
    assert prolong(stage, people.seller, winner, 2).status_code == 201
    assert refusal(prolong(stage, people.seller, winner, 3)) == (422, "request_invalid")
    paper = stage.api.as_(people.buyer).get(f"/awards/{winner}/prolongations/1/document")
    assert paper.data == b"%PDF decision"
    assert stage.api.as_(people.other_buyer).get(f"/awards/{winner}/prolongations/1/document").status_code == 404
    with stage.sessions.begin() as session:
        service.check_contract(session, award_id=uuid.UUID(winner), at=stage.clock.now())
        service.confirm_contract(session, award_id=uuid.UUID(winner), actor=SYSTEM, at=stage.clock.now())
    assert rows(stage, "SELECT state FROM awards ORDER BY place") == [("contracted",), ("released",)]


def test_the_clock_fails_an_award_once_and_the_next_is_promoted_at_its_own_price(stage, sale):
    people, (winner, second) = stage.people, sale()
    limit = datetime(2026, 3, 6, 22, tzinfo=UTC)
    stage.at(limit - timedelta(milliseconds=1))
    late = limit + award_turns.GRACE
    counts = []

    def run():
        with stage.sessions.begin() as session:
            counts.append(service.fail_overdue(session, late))

    with stage.sessions.begin() as session:
        assert service.fail_overdue(session, limit) == 0
    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == [0, 0, 1]
    assert rows(stage, "SELECT state, failure_cause FROM awards ORDER BY place") == [
        ("failed", "deadline_passed"), ("pending", None),
    ]  # fmt: skip
    awarded = rows(stage, "SELECT payload ->> 'award_id' FROM outbox_events WHERE name = 'auction.awarded' ORDER BY id")
    assert awarded == [(winner,), (second,)]
    assert rows(stage, "SELECT count(*) FROM defaults") == [(0,)]
    with stage.sessions() as session:
        award = service.require_award(session, uuid.UUID(second))
        assert award.price_minor == 12_000_000
        assert award.protocol_due_at > late
    assert people


def test_a_default_bars_from_the_package_and_without_a_deposit_the_next_is_passed_over(stage, sale):
    people, (winner, second) = stage.people, sale("plain")
    assert refusal(post(stage, people.seller, winner, "fail", cause="buyer_defaulted", reason="x")) == (
        403, "default_too_early",
    )  # fmt: skip
    assert refusal(post(stage, people.admin, winner, "fail", cause="deadline_passed", reason="x"))[0] == 422
    with stage.sessions.begin() as session:
        waiting = session.get(service.Award, uuid.UUID(second)).registration_id
        service.uncover_registration(session, registration_id=waiting, actor=SYSTEM, at=ENDS)
    failed = post(stage, people.compliance, winner, "fail", cause="buyer_defaulted", reason="did not pay")
    assert failed.get_json()["failure_cause"] == "buyer_defaulted"
    assert rows(stage, "SELECT state FROM awards ORDER BY place") == [("failed",), ("released",)]
    names = rows(stage, "SELECT name FROM outbox_events WHERE name LIKE 'a%' ORDER BY id")
    assert [name for (name,) in names][-3:] == ["award.failed", "award.released", "auction.failed"]
    assert rows(stage, "SELECT state FROM packages") == [("frozen",)]
    assert rows(stage, "SELECT organisation_id, regime, price_minor FROM defaults") == [
        (people.buyer.organisation_id, "plain", 12_500_000)
    ]
    with stage.sessions() as session:
        registration = session.get(service.Award, uuid.UUID(winner)).registration_id
        barred = eligibility.barred_of(session, [registration, waiting], at=ENDS)
    assert {key: failure.code for key, failure in barred.items()} == {
        registration: "barred_after_default", waiting: "deposit_not_held",
    }  # fmt: skip


def test_promotion_and_release_by_hand(stage, sale):
    people, (winner, second) = stage.people, sale("plain")
    assert refusal(post(stage, people.admin, second, "promote", reason="x")) == (409, "award_in_force")
    assert refusal(post(stage, people.other_buyer, second, "release", reason="x")) == (409, "award_in_force")
    assert post(stage, people.seller, winner, "fail", cause="seller_declined", reason="x").status_code == 200
    assert refusal(post(stage, people.buyer, second, "release", reason="x")) == (404, "not_found")
    promoted = post(stage, people.seller, second, "promote", reason="next").get_json()
    assert (promoted["state"], promoted["price"]) == ("pending", cny("120000.00"))
    listed = stage.api.as_(people.other_buyer).ok("GET", "/awards?state=pending")["items"]
    assert [row["id"] for row in listed] == [second]
    assert stage.api.as_(people.third_buyer).ok("GET", "/awards")["items"] == []


def at_once(stage, *works):
    """Run works at one instant, each in its own transaction; return each one's code, None where it went through."""
    barrier, found = threading.Barrier(len(works)), []

    def run(work):
        barrier.wait()
        try:
            with stage.sessions.begin() as session:
                work(session)
            found.append(None)
        except Failure as failure:
            found.append(failure.code)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_of_two_who_confirm_and_fail_at_once_one_is_first(stage, sale):
    winner = uuid.UUID(sale("plain")[0])
    common = {"award_id": winner, "actor": SYSTEM, "at": ENDS}
    found = at_once(
        stage,
        lambda session: service.confirm_contract(session, **common),
        lambda session: service.fail_award(session, **common, reason="x", cause=FailureCause.SELLER_DECLINED),
    )
    assert sorted(found, key=str) == [None, "illegal_move"]
    state = rows(stage, "SELECT state FROM awards ORDER BY place")[0][0]
    assert state in {"contracted", "failed"}
    assert len(rows(stage, "SELECT 1 FROM outbox_events WHERE name IN ('award.contracted', 'award.failed')")) == 1


def test_two_who_prolong_at_once_use_up_one(stage, sale, running):
    winner = uuid.UUID(sale()[0])

    def work(session):
        awards.prolong(
            session, award_id=winner, number=1, reason="x", content=b"paper", file_name="p.pdf",
            media_type="application/pdf", store=running.files, actor=stage.people.seller.actor, at=ENDS,
        )  # fmt: skip

    assert sorted(at_once(stage, work, work), key=str) == [None, "no_prolongation"]
    assert rows(stage, "SELECT number FROM award_prolongations") == [(1,)]
