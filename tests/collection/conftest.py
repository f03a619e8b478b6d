"""Collection needs cases: delivered over the API as the tests of cases do."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

_SPEC = importlib.util.spec_from_file_location("cases_conftest", Path(__file__).parents[1] / "cases" / "conftest.py")
_CASES = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_CASES)
deliver = _CASES.deliver

TAPE = (
    "case_key,borrower,principal,interest,other,days_past_due,customer_type,security\n"
    "C1,张伟,1000.00,50.00,10.00,400,person,none\n"
    "C2,李娜,60000.00,0.00,0.00,100,company,mortgage\n"
)


@pytest.fixture
def cases(api, people, deliver) -> dict[str, Any]:
    """Two delivered cases by key."""
    deliver(TAPE)
    return {case["case_key"]: case for case in api.as_(people.seller).ok("GET", "/cases")["items"]}
