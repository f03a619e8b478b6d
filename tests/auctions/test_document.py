"""The tables of docs/algorithms/auctions.md are replayed as they are printed."""

import json
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from auctions.domain import presets
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


CLOCK = re.search(r"^## A clock that the first bid starts\n(.*?)(?=^## )", TEXT, re.MULTILINE | re.DOTALL)[1]


@pytest.mark.parametrize(("name", "section"), [*SECTIONS.items(), ("english", CLOCK)])
def test_the_table_is_what_the_engine_answers(name, section):
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


def test_the_sale_after_two_failures_is_what_the_plan_and_the_engine_say():
    text = (Path(__file__).resolve().parents[2] / "docs/algorithms/listings.md").read_text()
    section = re.search(r"^## The sale after two failures.*?(?=^## )", text, re.MULTILINE | re.DOTALL)[0]
    rules = json.loads(re.search(r"```json\n(.*?)\n```", section, re.DOTALL)[1])
    planned = presets.versions("judicial_cn")[-1].document["relisting"]["judicial"]["plan"]["attempts"][1]
    opens, ends = (datetime.fromisoformat(rules[name]) for name in ("opens_at", "ends_at"))
    assert (ends - opens).total_seconds() == planned["duration_seconds"]
    assert rules["first_bid_clock_seconds"] == planned["terms"]["first_bid_clock_seconds"] == 86_400
    printed = rows(section)
    events = [
        {"at": f"{row['at']}Z", "kind": "bid", "bidder": row["bidder"], "amount": row["amount"]} for row in printed
    ]
    for row, found in zip(printed, replay(Node({"rules": rules, "events": events}))["answers"], strict=True):
        assert row["answer"] == ("accepted" if found["accepted"] else f"`{found['code']}`")
        assert row["ends_at"] == found.get("ends_at", "")[:-1]
    last = {"at": "2026-05-01T00:59:59.999Z", "kind": "bid", "bidder": "A", "amount": "560000.00"}
    assert replay(Node({"rules": rules, "events": [last]}))["ends_at"] == "2026-05-02T00:59:59.999Z"
    nobody = replay(Node({"rules": rules, "events": []}))
    assert (nobody["state"], nobody["ends_at"]) == ("unsold", "2026-05-01T01:00:00.000Z")
    assert datetime.fromisoformat(nobody["ends_at"]) - opens == timedelta(days=60)
