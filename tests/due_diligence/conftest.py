import functools
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from due_diligence.pdf import reader, sandbox, stamp, verify
from marketplace.packages.models import Package
from marketplace.packages.service import PackageState
from tests.due_diligence.papers import text_pdf
from tests.people import Person


@dataclass
class House:
    """A seller's package with a room, and the steps that tests take in it."""

    api: Any
    people: Any
    package_id: str
    room_id: str
    work: Callable[[], None]

    def as_(self, person: Person | None) -> Any:
        return self.api.as_(person.token) if person is not None else self.api

    def upload(self, content: bytes, *, who: Person | None = None, title: str = "借款合同", **form: Any) -> Any:
        data = {"title": title, "file": (io.BytesIO(content), "合同.pdf"), **form}
        client = self.as_(who or self.people.seller)
        return client.post(f"/rooms/{self.room_id}/documents", data=data)

    def document(self, content: bytes | None = None, **more: Any) -> Any:
        """Upload, read, and return the document as the seller sees it."""
        response = self.upload(content or text_pdf(), **more)
        assert response.status_code == 201, response.text
        self.work()
        return self.as_(self.people.seller).ok("GET", f"/documents/{response.json['id']}")

    def open(self) -> None:
        seller = self.as_(self.people.seller)
        text = {"text_zh": "保密协议：不得外传。", "text_en": "Keep it to yourself."}
        seller.ok("POST", f"/rooms/{self.room_id}/agreement-versions", json=text)
        seller.ok("POST", f"/rooms/{self.room_id}/open")

    def accept(self, who: Person) -> Any:
        client = self.as_(who)
        sha256 = client.ok("GET", f"/rooms/{self.room_id}/agreement")["sha256"]
        return client.ok("POST", f"/rooms/{self.room_id}/agreement/accept", 201, json={"sha256": sha256})

    def link(self, who: Person, document_id: str) -> Any:
        return self.as_(who).post(f"/documents/{document_id}/links")


@pytest.fixture
def make_package(sessions, people, clock):
    """Put a package of the seller into the database; its figures do not matter here."""

    def make(state: PackageState = PackageState.FROZEN) -> str:
        with sessions.begin() as session:
            package = Package(
                organisation_id=people.seller.organisation_id, name="东海一号", currency="CNY", criteria={},
                state=state, cut_off_on=date(2026, 1, 31), frozen_at=clock.now(), created_at=clock.now(),
            )  # fmt: skip
            session.add(package)
            session.flush()
            return str(package.id)

    return make


@pytest.fixture
def house(api, people, work, make_package) -> House:
    package_id = make_package()
    body = {"package_id": package_id, "access": "licensed_buyers"}
    room = api.as_(people.seller.token).ok("POST", "/rooms", 201, json=body)
    return House(api, people, package_id, room["id"], work)


@functools.cache
def _in_process(task: str, inputs: tuple[bytes, ...]) -> sandbox.Answer:
    target = io.BytesIO()
    doing = {"read": reader.answer, "stamp": functools.partial(stamp.stamp, target=target), "verify": verify.answer}
    return sandbox.Answer(json.dumps(doing[task](*inputs)).encode(), target.getvalue())


@pytest.fixture
def quick_children(monkeypatch):
    """Do the children's work in this process, for tests about something else; test_children.py starts real ones."""
    monkeypatch.setattr(sandbox, "run", lambda task, inputs, **_: _in_process(task, tuple(inputs)))
