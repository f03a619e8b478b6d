"""How the tests of cases deliver a tape."""

import io
from collections.abc import Callable
from typing import Any

import pytest

MINIMAL = "case_key,borrower,principal,interest,days_past_due\n"


@pytest.fixture
def deliver(api, people, work) -> Callable[..., Any]:
    """Deliver a file as the seller, run the import, and return the tape as the API shows it."""
    return delivering(api, people, work)


def delivering(api: Any, people: Any, work: Callable[[], None]) -> Callable[..., Any]:
    """What the fixture `deliver` gives."""

    def run(content: bytes | str, *, who=None, name="tape.csv", status=202, **terms: Any) -> Any:
        client = api.as_(who or people.seller)
        data = {"currency": "CNY", "as_of_on": "2026-01-31", **terms}
        content = content.encode() if isinstance(content, str) else content
        response = client.post("/tapes", data={**data, "file": (io.BytesIO(content), name)})
        response.request.environ["wsgi.input"].close()  # a large body lies in a temporary file of the test client
        assert response.status_code == status, response.text
        if status != 202:
            return response.get_json()
        work()
        return client.ok("GET", f"/tapes/{response.get_json()['id']}")

    return run
