"""The faults of `benchmarks/machine_faults` still find the lines that they change, and a program is left behind."""

import ast

import pytest

from benchmarks import machine_faults


@pytest.mark.parametrize(
    "fault", [*machine_faults.FAULTS["engine"], *machine_faults.FAULTS["service"]], ids=lambda fault: fault["name"]
)
def test_a_planted_fault_finds_its_place(fault):
    whole = (machine_faults.ROOT / fault["file"]).read_text()
    changed = machine_faults.planted(whole, fault)
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(whole))
