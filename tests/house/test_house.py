"""The house's own routes: time, health, jobs, audit records, deliveries that are stuck."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from marketplace import api as house
from marketplace import jobs, outbox
from marketplace.health import NotMigrated
from marketplace.http import COOKIE
from marketplace.outbox import OutboxDelivery, OutboxEvent


def test_time_is_the_servers(api, clock):
    clock.advance(milliseconds=123, microseconds=987)
    assert api.ok("GET", "/time") == {"now": "2026-03-02T09:00:00.123Z", "epoch_ms": 1772442000123}


def test_health_names_the_schema(api, session):
    migration = session.scalar(text("SELECT version_num FROM alembic_version"))
    assert api.ok("GET", "/health") == {"status": "ok", "migration": migration}


def test_health_says_when_there_is_no_schema(app, api, running):
    with running.engine.begin() as connection:
        connection.execute(text("DROP TABLE alembic_version"))
    answer = api.get("/health")
    assert (answer.status_code, answer.get_json()["code"]) == (503, "not_migrated")


def test_health_says_when_the_database_is_away(app, api, running, database):
    from sqlalchemy import create_engine

    from marketplace import db

    away = create_engine("postgresql://nobody@127.0.0.1:1/none")
    object.__setattr__(running, "sessions", db.make_sessions(away))
    answer = api.get("/health")
    assert (answer.status_code, answer.get_json()["code"]) == (503, "busy")


def test_a_stale_cookie_does_not_stand_in_the_way(app, people):
    browser = app.test_client()
    browser.set_cookie(COOKIE, "nps_" + "0" * 64)
    assert browser.get("/api/v1/time").status_code == 200
    assert browser.get("/api/v1/me").status_code == 401


def test_a_job_shows_how_far_it_is(api, people, sessions, running, clock):
    def ask(name):
        with sessions.begin() as session:
            return jobs.enqueue(session, name=name, arguments={}, actor=people.seller.actor, at=clock.now()).id

    def show(job):
        return api.as_(people.seller).ok("GET", f"/jobs/{job}")

    def work(session, arguments, progress, at):
        progress(2, 2, "rows")
        return {"kept": 2}

    def failing(session, arguments, progress, at):
        raise NotMigrated

    good, bad = ask("good"), ask("bad")
    assert show(good)["outcome"] == "waiting"
    jobs.run_due(running.sessions, {"good": work, "bad": failing}, clock=clock)
    assert show(good) == {
        "id": str(good), "name": "good", "outcome": "done", "done": 2, "total": 2, "note": "rows",
        "result": {"kept": 2}, "problem": None,
        "created_at": "2026-03-02T09:00:00.000Z", "finished_at": "2026-03-02T09:00:00.000Z",
    }  # fmt: skip
    assert show(bad)["outcome"] == "failed"
    assert show(bad)["problem"]["code"] == "not_migrated"


def test_audit_records_are_filtered_and_paged(api, people):
    auditor = api.as_(people.auditor)
    mine = auditor.ok("GET", f"/audit-records?subject_id={people.buyer.organisation_id}")["items"]
    assert [record["verb"] for record in mine] == ["approve", "create"]
    licences = auditor.ok("GET", "/audit-records?subject_kind=licences&limit=200")["items"]
    assert {record["subject_kind"] for record in licences} == {"licences"}
    assert len(licences) == 14
    both = f"/audit-records?subject_kind=licences&subject_id={people.buyer.organisation_id}"
    assert auditor.ok("GET", both)["items"] == []
    seen, cursor = [], ""
    while cursor is not None:
        page = auditor.ok("GET", f"/audit-records?limit=7{cursor and '&cursor=' + cursor}")
        seen += [record["id"] for record in page["items"]]
        cursor = page["next"]
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == len(auditor.ok("GET", "/audit-records?limit=200")["items"])


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "cursor=x", "subject_id=x", "unknown=1", "subject_kind=" + "x" * 64],
)
def test_bad_questions_are_refused(api, people, query):
    assert api.as_(people.admin).get(f"/audit-records?{query}").status_code == 422


def test_only_owed_deliveries_that_failed_are_shown(api, people, sessions, clock):
    with sessions.begin() as session:
        event = OutboxEvent(name="listing.published", payload={}, at=clock.now())
        session.add(event)
        session.flush()
        later = clock.now() + timedelta(minutes=5)
        rows = [
            ("fine", 0, None),
            ("stuck", 2, None),
            ("given_up", outbox.MAX_ATTEMPTS, None),
            ("done", 3, clock.now()),
        ]
        for handler, attempts, delivered_at in rows:
            session.add(
                OutboxDelivery(
                    event_id=event.id, handler=handler, attempts=attempts, delivered_at=delivered_at,
                    next_attempt_at=later, last_error="ValueError()",
                )
            )  # fmt: skip
            session.flush()
    admin = api.as_(people.admin)
    shown = admin.ok("GET", "/outbox-deliveries")["items"]
    assert [(row["handler"], row["given_up"], row["event"]) for row in shown] == [
        ("given_up", True, "listing.published"),
        ("stuck", False, "listing.published"),
    ]
    first = admin.ok("GET", "/outbox-deliveries?limit=1")
    second = admin.ok("GET", f"/outbox-deliveries?limit=1&cursor={first['next']}")
    assert [row["handler"] for row in first["items"] + second["items"]] == ["given_up", "stuck"]
    assert second["next"] is None


def test_stored_answers_are_kept_for_thirty_days(session, clock, people):
    from sqlalchemy import func, select

    from marketplace.idempotency import StoredAnswer

    session.add(StoredAnswer(owner_id=people.seller.user_id, key="k", request_hash=b"x", at=clock.now()))
    session.flush()
    for days, left in ((29, 1), (31, 0)):
        house.forget_answers(session, clock.now() + timedelta(days=days))
        assert session.scalar(select(func.count()).select_from(StoredAnswer)) == left
