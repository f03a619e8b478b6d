"""Freezing many cases is a job: asked for once, watched, refused in words, taken up again after a kill."""

import dataclasses

import pytest
from sqlalchemy import text

from demo import tape as demo_tape
from marketplace import runtime
from marketplace.packages import freezing
from tests import dying_worker

COUNT = 40


@pytest.fixture
def few(running) -> None:
    """An installation that freezes ten cases at once and leaves more to a job."""
    runtime.install(dataclasses.replace(running, settings=dataclasses.replace(running.settings, synchronous_cases=10)))


def job_of(client, asked: dict) -> dict:
    return client.ok("GET", f"/jobs/{asked['job_id']}")


def test_many_cases_are_frozen_by_a_job_with_its_progress(api, people, deliver, package, freeze, work, few) -> None:
    deliver(demo_tape.make_tape(COUNT))
    made = package()
    client = api.as_(people.seller)
    asked = client.post(f"/packages/{made['id']}/freeze", json={"cut_off_on": "2026-01-31"})
    assert (asked.status_code, asked.headers["Location"]) == (202, f"/api/v1/jobs/{asked.get_json()['job_id']}")
    assert freeze(made, status=202) == asked.get_json(), "asked again: the same job"
    other_day = freeze(made, status=409, cut_off_on="2026-01-30")
    assert (other_day["code"], "as of 2026-01-31" in other_day["detail"]) == ("freeze_under_way", True)
    assert job_of(client, asked.get_json())["outcome"] == "waiting"
    assert api.as_(people.other_seller).get(f"/jobs/{asked.get_json()['job_id']}").status_code == 404
    work()
    job = job_of(client, asked.get_json())
    assert (job["outcome"], job["result"]) == ("done", {"package_id": made["id"], "state": "frozen"})
    assert (job["done"], job["total"], job["note"]) == (COUNT, COUNT, "figures")
    shown = client.ok("GET", f"/packages/{made['id']}")
    assert (shown["state"], shown["job_id"], shown["cut_off_on"]) == ("frozen", job["id"], "2026-01-31")
    records = api.as_(people.auditor).ok("GET", f"/audit-records?subject_id={made['id']}")["items"]
    frozen = next(one for one in records if one["verb"] == "freeze")
    assert frozen["actor_user_id"] == str(people.seller.actor.user_id), "who asked, not the machine"


def test_asked_again_while_the_job_works_the_answer_does_not_wait_for_it(
    deliver, package, freeze, sessions, few
) -> None:
    """The job holds the package's row from its first moment to its last."""
    deliver(demo_tape.make_tape(COUNT))
    made = package()
    asked = freeze(made, status=202)
    with sessions.begin() as worker:
        worker.execute(text("SELECT 1 FROM packages FOR UPDATE"))
        assert freeze(made, status=202) == asked
        assert freeze(made, status=409, cut_off_on="2026-01-30")["code"] == "freeze_under_way"


def test_a_job_freezes_what_a_request_freezes(api, people, deliver, package, freeze, work, running, few) -> None:
    """The same cases, header and tape by either way."""
    deliver(demo_tape.make_tape(COUNT))
    by_job, at_once = package(), package()
    freeze(by_job, status=202)
    work()
    client = api.as_(people.seller)
    header = client.ok("GET", f"/packages/{by_job['id']}")["header"]
    (tape,) = client.ok("GET", f"/packages/{by_job['id']}/tape-versions")["items"]
    client.ok("POST", f"/packages/{by_job['id']}/cancel", json={"reason": "again"})
    runtime.install(running)
    shown = freeze(at_once)
    assert (shown["job_id"], shown["header"]) == (None, header)
    (other,) = client.ok("GET", f"/packages/{at_once['id']}/tape-versions")["items"]
    assert (other["sha256"], other["rows"]) == (tape["sha256"], COUNT)


def test_few_cases_are_frozen_at_once(deliver, package, freeze, few) -> None:
    deliver(demo_tape.make_tape(10))
    assert freeze(package())["state"] == "frozen"


def test_what_is_wrong_is_said_at_once_or_by_the_job(api, people, deliver, package, freeze, work, few) -> None:
    deliver(demo_tape.make_tape(COUNT))
    made = package()
    assert freeze(made, status=422, cut_off_on="2027-01-01")["code"] == "cut_off_of_the_future"
    asked = freeze(made, status=202, cut_off_on="2026-01-30")
    work()
    client = api.as_(people.seller)
    job = job_of(client, asked)
    assert (job["outcome"], job["problem"]["code"]) == ("failed", "balances_after_cut_off")
    assert "after the cut-off" in job["problem"]["detail"]
    assert client.ok("GET", f"/packages/{made['id']}")["state"] == "draft"
    again = freeze(made, status=202)
    assert again["job_id"] != asked["job_id"], "a failed job does not stand in the way"
    client.ok("POST", f"/packages/{made['id']}/cancel", json={"reason": "no"})
    work()
    job = job_of(client, again)
    assert (job["outcome"], job["problem"]["code"]) == ("failed", "illegal_move")


def test_a_lock_held_for_too_long_is_said_as_such(
    api, people, deliver, package, freeze, work, sessions, monkeypatch, few
) -> None:
    deliver(demo_tape.make_tape(COUNT))
    asked = freeze(package(), status=202)
    lock = freezing.cases.lock_open_cases

    def impatient(session, **arguments):
        session.execute(text("SET LOCAL lock_timeout = '200ms'"))
        return lock(session, **arguments)

    monkeypatch.setattr(freezing.cases, "lock_open_cases", impatient)
    with sessions.begin() as holder:
        holder.execute(text("SELECT 1 FROM cases FOR UPDATE"))
        work()
    job = job_of(api.as_(people.seller), asked)
    assert (job["outcome"], job["problem"]["code"]) == ("failed", "busy")
    assert "Try again" in job["problem"]["detail"]


@pytest.mark.slow
def test_a_freeze_killed_in_the_middle_leaves_nothing_and_is_taken_up_again(
    api, people, deliver, package, freeze, work, sessions, settings, clock, tmp_path, few
) -> None:
    deliver(demo_tape.make_tape(COUNT))
    made = package()
    asked = freeze(made, status=202)
    client = api.as_(people.seller)
    for note in ("taken", "figures"):
        assert dying_worker.run(settings.database_url, tmp_path / "files", at=clock.now(), note=note) == -9
        job = job_of(client, asked)
        assert (job["outcome"], job["note"]) == ("running", note)
        assert client.ok("GET", f"/packages/{made['id']}")["state"] == "draft"
        with sessions() as session:
            assert session.execute(text("SELECT count(*) FROM package_cases")).scalar_one() == 0
            assert session.execute(text("SELECT count(*) FROM cases WHERE state <> 'open'")).scalar_one() == 0
    work()
    assert job_of(client, asked)["outcome"] == "done"
    assert client.ok("GET", f"/packages/{made['id']}")["state"] == "frozen"
    with sessions() as session:
        assert session.execute(text("SELECT count(*) FROM package_cases")).scalar_one() == COUNT
