"""Two freezes at once on two real connections: a case ends up in one of the packages, never in both."""

import threading
import uuid

import pytest

from demo import tape as demo_tape
from marketplace.packages import freezing, service
from marketplace.packages.models import PackageCase


def test_the_second_freeze_gets_what_the_first_left(sessions, people, clock, deliver, package, monkeypatch):
    deliver(demo_tape.make_tape(120))
    cards, everything = package(products=["信用卡"]), package()
    locked, go_on = threading.Event(), threading.Event()
    lock = freezing.cases.lock_open_cases

    def pausing(session, **arguments):
        found = lock(session, **arguments)
        if arguments["criteria"].products:
            locked.set()
            assert go_on.wait(20)
        return found

    monkeypatch.setattr(freezing.cases, "lock_open_cases", pausing)
    failures: list[BaseException] = []

    def freeze(made):
        try:
            with sessions.begin() as session:
                service.freeze_package(
                    session,
                    uuid.UUID(made["id"]),
                    cut_off_on=demo_tape.AS_OF_ON,
                    actor=people.seller.actor,
                    at=clock.now(),
                )
        except BaseException as failure:  # noqa: BLE001 - shown by the main thread
            failures.append(failure)

    first, second = (threading.Thread(target=freeze, args=[made]) for made in (cards, everything))
    first.start()
    assert locked.wait(20)
    second.start()
    second.join(0.5)
    assert second.is_alive(), "the second freeze waits for the locks of the first"
    go_on.set()
    first.join(20)
    second.join(20)
    assert failures == []
    with sessions() as session:
        taken = {
            made["id"]: {case.case_id for case in service.frozen_cases(session, uuid.UUID(made["id"]))}
            for made in (cards, everything)
        }
    assert taken[cards["id"]]
    assert taken[everything["id"]]
    assert taken[cards["id"]].isdisjoint(taken[everything["id"]])
    assert len(taken[cards["id"]] | taken[everything["id"]]) == 120


def test_the_database_refuses_a_case_in_two_live_packages(sessions, people, clock, deliver, package):
    from sqlalchemy import insert, select, text
    from sqlalchemy.exc import IntegrityError

    from marketplace import db

    deliver(demo_tape.make_tape(3))
    made, other = package(), package()
    with sessions.begin() as session:
        service.freeze_package(
            session, uuid.UUID(made["id"]), cut_off_on=demo_tape.AS_OF_ON, actor=people.seller.actor, at=clock.now()
        )
    with sessions() as session:
        columns = [column.key for column in PackageCase.__table__.columns if column.key != "package_id"]
        copied = select(*(PackageCase.__table__.c[name] for name in columns), text(f"'{other['id']}'::uuid"))
        with pytest.raises(IntegrityError) as caught:
            session.execute(insert(PackageCase).from_select([*columns, "package_id"], copied))
    assert db.explain(caught.value).code == "case_in_another_package"
