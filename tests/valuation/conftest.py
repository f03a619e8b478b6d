"""Valuation needs a frozen package: delivered, bundled and frozen over the API as the tests of packages do."""

import importlib.util
import io
from pathlib import Path
from typing import Any

import pytest

_SPEC = importlib.util.spec_from_file_location(
    "packages_conftest", Path(__file__).parents[1] / "packages" / "conftest.py"
)
_PACKAGES = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_PACKAGES)
deliver, package, freeze = _PACKAGES.deliver, _PACKAGES.package, _PACKAGES.freeze

TAPE = (
    "case_key,borrower,principal,interest,days_past_due,security,collateral_value,prior_liens,registered_cap\n"
    "C1,张伟,700000.00,50000.00,400,mortgage,1000000.00,100000.00,500000.00\n"
    "C2,李娜,9000.00,1000.00,100,none,,,\n"
    "C3,王芳,9000.01,1000.00,100,none,,,\n"
    "C4,赵敏,20000.00,0.00,2000,none,,,\n"
    "C5,陈强,10000.00,0.00,30,mortgage,,,\n"
)
PDF = b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"

ENGAGEMENT = {
    "independence_statement": "本机构与委托人及相关当事人没有现存或预期的利害关系，独立客观公正。",
    "no_conflicts": True,
}
SUBMISSION = {
    "kind": "full",
    "methods": ["collateral_liquidation", "recovery_curve"],
    "signers": [
        {"name": "沈评估", "certificate_number": "31000001"},
        {"name": "陆评估", "certificate_number": "31000002"},
    ],
    "inspection_statement": "已对抵押物进行现场勘查。",
    "scope": "仅供本次转让定价参考。",
    "value": {"amount": "400000.01", "currency": "CNY"},
    "valued_on": "2026-02-01",
    "valid_until_on": "2027-02-01",
}


@pytest.fixture
def frozen(deliver, package, freeze) -> Any:
    deliver(TAPE)
    return freeze(package())


class Desk:
    """Plays the parts of an appraisal over the API."""

    engagement, submission = ENGAGEMENT, SUBMISSION

    def __init__(self, api, people, package_id: str) -> None:
        self.api, self.people, self.package_id = api, people, package_id

    def request(self, status: int = 201, **changes: Any) -> Any:
        body = {"valuer_organisation_id": str(self.people.valuer.organisation_id), "purpose": "转让定价", **changes}
        path = f"/packages/{self.package_id}/appraisals"
        return self.api.as_(self.people.seller).ok("POST", path, status, json=body)

    def valuer(self, appraisal: Any, verb: str, body: Any, status: int = 200) -> Any:
        return self.api.as_(self.people.valuer).ok("POST", f"/appraisals/{appraisal['id']}/{verb}", status, json=body)

    def seller(self, appraisal: Any, verb: str, status: int = 200, body: Any = None) -> Any:
        more = {} if body is None else {"json": body}
        return self.api.as_(self.people.seller).ok("POST", f"/appraisals/{appraisal['id']}/{verb}", status, **more)

    def report(self, appraisal: Any, content: bytes = PDF, status: int = 200, name: str = "报告.pdf") -> Any:
        path = f"/appraisals/{appraisal['id']}/report"
        client = self.api.as_(self.people.valuer)
        return client.ok("POST", path, status, data={"file": (io.BytesIO(content), name)})

    def engaged(self) -> Any:
        return self.valuer(self.request(), "engage", ENGAGEMENT)

    def submitted(self, **changes: Any) -> Any:
        appraisal = self.report(self.engaged())
        return self.valuer(appraisal, "submit", SUBMISSION | changes)


@pytest.fixture
def desk(api, people, frozen) -> Desk:
    return Desk(api, people, frozen["id"])
