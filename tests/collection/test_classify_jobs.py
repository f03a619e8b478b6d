"""Classifying many cases is a job: asked for once, part by part, taken up again after a kill."""

import dataclasses

import pytest
from sqlalchemy import text

from collection import classifying
from demo import tape as demo_tape
from marketplace import runtime
from tests import dying_worker

COUNT = 40
LEVELS = "SELECT count(*), count(DISTINCT case_id) FROM case_levels"


@pytest.fixture
def few(running) -> None:
    """An installation that classifies ten cases at once and leaves more to a job."""
    runtime.install(dataclasses.replace(running, settings=dataclasses.replace(running.settings, synchronous_cases=10)))


def test_many_cases_are_classified_by_a_job_part_by_part(
    api, people, deliver, work, sessions, few, monkeypatch
) -> None:
    monkeypatch.setattr(classifying, "PART", 7)
    deliver(demo_tape.make_tape(COUNT))
    client = api.as_(people.seller)
    asked = client.ok("POST", "/cases/classify", 202)
    assert client.ok("POST", "/cases/classify", 202) == asked, "asked again: the same job"
    assert client.get(f"/jobs/{asked['job_id']}").get_json()["outcome"] == "waiting"
    work()
    job = client.ok("GET", f"/jobs/{asked['job_id']}")
    assert (job["outcome"], job["done"], job["total"], job["note"]) == ("done", COUNT, COUNT, "classified")
    result = job["result"]
    assert (result["cases"], result["changed"], sum(result["counts"].values())) == (COUNT, COUNT, COUNT)
    with sessions() as session:
        assert session.execute(text(LEVELS)).one() == (COUNT, COUNT)
    again = client.ok("POST", "/cases/classify", 202)
    assert again["job_id"] != asked["job_id"]
    work()
    assert client.ok("GET", f"/jobs/{again['job_id']}")["result"]["changed"] == 0
    other = api.as_(people.other_seller).ok("POST", "/cases/classify", 200)
    assert other["cases"] == 0, "few cases are answered at once"


def test_parts_and_one_piece_give_the_same_levels(api, people, deliver, sessions, monkeypatch) -> None:
    deliver(demo_tape.make_tape(COUNT))
    client = api.as_(people.seller)
    whole = client.ok("POST", "/cases/classify", 200)
    for part in (1, 39, 40, 41):
        monkeypatch.setattr(classifying, "PART", part)
        assert client.ok("POST", "/cases/classify", 200) == {**whole, "changed": 0}


@pytest.mark.slow
def test_a_classification_killed_in_the_middle_is_taken_up_again(
    api, people, deliver, work, sessions, settings, clock, tmp_path, few
) -> None:
    deliver(demo_tape.make_tape(COUNT))
    client = api.as_(people.seller)
    asked = client.ok("POST", "/cases/classify", 202)
    assert dying_worker.run(settings.database_url, tmp_path / "files", at=clock.now(), note="classified") == -9
    assert client.ok("GET", f"/jobs/{asked['job_id']}")["outcome"] == "running"
    with sessions() as session:
        assert session.execute(text(LEVELS)).one() == (0, 0)
    work()
    assert client.ok("GET", f"/jobs/{asked['job_id']}")["outcome"] == "done"
    with sessions() as session:
        assert session.execute(text(LEVELS)).one() == (COUNT, COUNT)
