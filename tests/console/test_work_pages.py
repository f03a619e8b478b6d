"""The page of a job: progress while it runs, its outcome, what to do about its problem; for nobody else."""

import dataclasses

import pytest
from sqlalchemy import text

from marketplace import runtime


@pytest.fixture
def asked(running, market, api, people):
    """A freeze that an installation leaves to a job, asked for and not run yet."""
    market.package(name="封包之前")
    api.as_(people.seller).ok("POST", f"/packages/{last_package(api, people)['id']}/cancel", json={"reason": "x"})
    runtime.install(dataclasses.replace(running, settings=dataclasses.replace(running.settings, synchronous_cases=0)))

    def ask(cut_off_on: str) -> dict:
        seller = api.as_(people.seller)
        made = seller.ok("POST", "/packages", 201, json={"name": "大包", "currency": "CNY", "filter": {}})
        return seller.ok("POST", f"/packages/{made['id']}/freeze", 202, json={"cut_off_on": cut_off_on})

    return ask


def last_package(api, people) -> dict:
    return api.as_(people.seller).ok("GET", "/packages")["items"][0]


def test_a_job_is_followed_from_home_to_its_end(asked, api, people, visit, work, sessions) -> None:
    path = f"/jobs/{asked('2026-01-31')['job_id']}"
    assert f'href="{path}"' in visit(people.seller).get("/").text
    waiting = visit(people.seller, "zh").get(path).text
    assert "资产包封包" in waiting
    assert "等待处理" in waiting
    assert 'http-equiv="refresh"' in waiting
    with sessions.begin() as session:
        session.execute(text("UPDATE job_progress SET attempts = 1, done = 1234, total = 60000, note = 'taken'"))
    running = visit(people.seller, "en").get(path).text
    assert '<progress max="60000" value="1234"' in running
    assert "1,234 of 60,000" in running
    assert "figures of the cases taken" in running
    work()
    done = visit(people.seller, "en").get(path).text
    assert "Done" in done
    assert 'http-equiv="refresh"' not in done
    assert f'href="{path}"' not in visit(people.seller).get("/").text, "it is frozen: nothing to follow"


def test_a_failed_job_says_what_was_wrong_and_what_to_do(asked, people, visit, work) -> None:
    path = f"/jobs/{asked('2026-01-30')['job_id']}"
    work()
    failed = visit(people.seller, "en").get(path).text
    assert "have balances of a day after the cut-off" in failed
    assert "then ask for it again" in failed
    assert "未作任何更改" in visit(people.seller, "zh").get(path).text


def test_a_job_is_nobody_elses(asked, people, visit) -> None:
    path = f"/jobs/{asked('2026-01-31')['job_id']}"
    found = {
        role: visit(getattr(people, role)).get(path).status_code
        for role in ("seller", "seller_agent", "other_seller", "buyer", "valuer", "finance", "auditor")
    }
    assert found == {
        "seller": 200, "seller_agent": 200, "other_seller": 404, "buyer": 404, "valuer": 404, "finance": 200,
        "auditor": 200,
    }  # fmt: skip
    assert visit().get(path).status_code == 303
