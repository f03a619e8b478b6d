"""The import contracts hold, and each of them is shown to break on a deliberate violation."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import rules

CONTRACTS = tomllib.loads((rules.ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

VIOLATIONS = {
    "tower": ("marketplace/money.py", "import settlement"),
    "ground": ("marketplace/errors.py", "import marketplace.http"),
    "doors": ("auctions/service.py", "import wsgi"),
    "pure": ("auctions/domain/__init__.py", "import sqlalchemy"),
    "client": ("demo/client.py", "import auctions"),
    "rows-parties": ("auctions/service.py", "import marketplace.parties.models"),
    "rows-cases": ("auctions/service.py", "import marketplace.cases.models"),
    "rows-packages": ("auctions/service.py", "import marketplace.packages.models"),
    "rows-collection": ("auctions/service.py", "import collection.models"),
    "rows-valuation": ("auctions/service.py", "import valuation.models"),
    "rows-due-diligence": ("auctions/service.py", "import due_diligence.models"),
    "rows-auctions": ("settlement/service.py", "import auctions.models"),
    "rows-settlement": ("console/__init__.py", "import settlement.models"),
}


def _lint(folder: Path) -> dict[str, bool]:
    program = Path(sys.executable).parent / "lint-imports"
    environment = os.environ | {"PYTHONPATH": str(folder), "NO_COLOR": "1"}
    result = subprocess.run(
        [program, "--no-cache", "--config", folder / "pyproject.toml"],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    verdicts = re.findall(r"^(.+?) (KEPT|BROKEN)", result.stdout, re.MULTILINE)
    assert verdicts, result.stdout + result.stderr
    return {name: verdict == "KEPT" for name, verdict in verdicts}


@pytest.mark.slow
def test_contracts_hold():
    assert [name for name, kept in _lint(rules.ROOT).items() if not kept] == []


@pytest.mark.slow
def test_every_contract_can_break(tmp_path):
    for package in (*rules.PACKAGES, "demo"):
        skip = shutil.ignore_patterns("__pycache__", "static", "fonts", "templates")
        shutil.copytree(rules.ROOT / package, tmp_path / package, ignore=skip)
    shutil.copy(rules.ROOT / "pyproject.toml", tmp_path)
    shutil.copy(rules.ROOT / "wsgi.py", tmp_path)
    for path, line in VIOLATIONS.values():
        with (tmp_path / path).open("a") as file:
            file.write(f"\n{line}\n")
    assert set(VIOLATIONS) == {contract["id"] for contract in CONTRACTS}
    verdicts = _lint(tmp_path)
    assert [name for name, kept in verdicts.items() if kept] == []
    assert len(verdicts) == len(CONTRACTS)
