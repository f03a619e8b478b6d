"""The tables of docs/algorithms/auctions.md are replayed as they are printed."""

import json
import re
from pathlib import Path

import pytest

from auctions.domain.replay import FORMATS, replay
from marketplace.documents import Node

TEXT = (Path(__file__).resolve().parents[2] / "docs/algorithms/auctions.md").read_text()
SECTIONS = dict(re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))


def test_every_format_has_its_section():
    assert list(SECTIONS) == list(FORMATS)


def rows(section):
    lines = [line for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def event(row):
    event = {"at": f"2026-03-02T{row['at']}Z", "kind": row["kind"], "bidder": row["bidder"]}
    event |= {"amount": row["amount"]} if row["amount"] else {}
    return event | ({"lots": row["lots"].split(", ")} if row["lots"] else {})


@pytest.mark.parametrize("name", list(FORMATS))
def test_the_table_is_what_the_engine_answers(name):
    section = SECTIONS[name]
    rules = json.loads(re.search(r"```json\n(.*?)\n```", section, re.DOTALL)[1])
    assert rules["format"] == name
    printed = rows(section)
    answer = replay(Node({"rules": rules, "events": [event(row) for row in printed], "as_of": None}))
    for row, found in zip(printed, answer["answers"], strict=True):
        told = "accepted" if found["accepted"] else f"`{found['code']}`"
        assert row["answer"] == (f"{told}, {found['sequence']}" if "sequence" in found else told)
        assert [row["price"], row["leader"], row["minimum_next"]] == [
            found.get(key, "") for key in ("price", "leader", "minimum_next")
        ]
        assert row["ends_at"] == found.get("ends_at", "")[11:-1]
    result = json.loads(re.findall(r"^`(\{.*\})`$", section, re.MULTILINE)[-1])
    assert result == {key: answer[key] for key in result}
