"""Packages need cases: the same delivery as the tests of cases use, and a package made over the API."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_SPEC = importlib.util.spec_from_file_location("cases_conftest", Path(__file__).parents[1] / "cases" / "conftest.py")
_CASES = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_CASES)
deliver = _CASES.deliver


@pytest.fixture
def package(api, people, deliver) -> Callable[..., Any]:
    """Make a draft package as the seller."""

    def make(*, who=None, **filters: Any) -> Any:
        body = {"name": "第一期", "filter": filters}
        return api.as_(who or people.seller).ok("POST", "/packages", 201, json=body)

    return make


@pytest.fixture
def freeze(api, people) -> Callable[..., Any]:
    def run(package: Any, *, who=None, status=200, cut_off_on="2026-01-31") -> Any:
        client = api.as_(who or people.seller)
        response = client.post(f"/packages/{package['id']}/freeze", json={"cut_off_on": cut_off_on})
        assert response.status_code == status, response.text
        return response.get_json()

    return run
