"""Documents of a replay: what is refused and where, the hash chain, the command line."""

import hashlib
import json
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auctions.domain.canonical import canonical
from auctions.domain.replay import ENGINE, replay
from marketplace.documents import BadDocument, Node, parse
from tests.auctions.documents_english import bid, english, played

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def test_canonical_sorts_by_utf16_units_and_escapes_little():
    value = {"\U0001f600": 1, "\ufb33": 2, "a": "\u20ac$\x0f\nA'B\"\\/\x7f", "": None}
    text = '{"":null,"a":"€$\\u000f\\nA\'B\\"\\\\/\x7f","\U0001f600":1,"\ufb33":2}'
    assert canonical(value).decode() == text


@given(JSON)
def test_canonical_keeps_the_value(value):
    assert json.loads(canonical(value)) == value


def test_canonical_takes_no_fraction():
    with pytest.raises(TypeError):
        canonical({"a": 1.5})


def test_the_log_hash_can_be_computed_by_anyone():
    rules, event = english(), bid("09:10:00.000", "A", "1000000.00")
    answer = played(rules, event)
    digest = hashlib.sha256(canonical(rules)).digest()
    digest = hashlib.sha256(digest + canonical({"answer": answer["answers"][0], "event": event})).digest()
    assert answer["log_hash"] == f"sha256:{digest.hex()}"
    assert played(rules)["log_hash"] == f"sha256:{hashlib.sha256(canonical(rules)).hexdigest()}"


STEP = {"from": "0", "amount": "1"}
SOFT = {"window_seconds": 1, "extension_seconds": 1}
BAD = [
    ("/rules/format", english(format="swiss"), []),
    ("/rules/format", {key: value for key, value in english().items() if key != "format"}, []),
    ("/rules/colour", english(colour="red"), []),
    ("/rules/currency", english(currency="XXX"), []),
    ("/rules/ends_at", english(ends_at="2026-03-02T09:00:00.000Z"), []),
    ("/rules/ends_at", english(ends_at="9999-03-02T09:00:00.000Z"), []),
    ("/rules/start_price", english(start_price="0.00"), []),
    ("/rules/start_price", english(start_price=5), []),
    ("/rules/start_price", english(start_price="5.001"), []),
    ("/rules/grid", english(grid=True, increment={"kind": "percent", "percent": "5", "minimum": "1"}), []),
    ("/rules/increment/kind", english(increment={"kind": "odd"}), []),
    ("/rules/increment/kind", english(increment={}), []),
    ("/rules/increment/amount", english(increment={"kind": "fixed", "amount": "0"}), []),
    ("/rules/increment/minimum", english(increment={"kind": "percent", "percent": "0", "minimum": "0"}), []),
    ("/rules/increment/bands", english(increment={"kind": "bands", "bands": []}), []),
    ("/rules/increment/bands/0/from", english(increment={"kind": "bands", "bands": [STEP | {"from": "1"}]}), []),
    ("/rules/soft_close/hard_end", english(soft_close=SOFT | {"hard_end": "2026-03-02T09:59:59.999Z"}), []),
    ("/rules/soft_close/window_seconds", english(soft_close={"extension_seconds": 1}), []),
    ("/rules/soft_close/window_seconds", english(soft_close=SOFT | {"window_seconds": True}), []),
    ("/rules/priority/1/bidder", english(priority=[{"bidder": "P", "rank": 1}, {"bidder": "P", "rank": 2}]), []),
    ("/rules/awards", english(awards=0), []),
    ("/events/0/kind", english(), [bid("09:00:00.000", "A", "1") | {"kind": "maximum"}]),
    ("/events/0/kind", english(), [{"at": "2026-03-02T09:00:00.000Z"}]),
    ("/events/0/amount", english(), [{"at": "2026-03-02T09:00:00.000Z", "kind": "bid", "bidder": "A"}]),
    ("/events/0/amount", english(), [bid("09:00:00.000", "A", "-1")]),
    ("/events/0/lots", english(), [bid("09:00:00.000", "A", "1") | {"lots": []}]),
    ("/events/1/at", english(), [bid("09:00:00.001", "A", "1"), bid("09:00:00.000", "A", "1")]),
    ("/events/0", english(), [7]),
    ("/rules", [], []),
]  # fmt: skip


@pytest.mark.parametrize(("pointer", "rules", "events"), BAD)
def test_bad_documents_are_refused_at_their_place(pointer, rules, events):
    with pytest.raises(BadDocument) as caught:
        replay(Node({"rules": rules, "events": events}))
    assert [error["pointer"] for error in caught.value.errors] == [pointer]


@given(JSON)
def test_any_json_is_answered_or_refused(value):
    for document in (value, {"rules": value, "events": []}, {"rules": english(), "events": [value]}):
        with pytest.raises(BadDocument):
            replay(Node(document))


def test_a_hundred_thousand_events_with_many_voids_take_seconds_not_hours():
    rules = english(start_price="1", increment={"kind": "fixed", "amount": "1"})
    events = [bid("09:10:00.000", f"b{number}", str(number + 1)) for number in range(25_000)]
    events += [{"at": "2026-03-02T09:10:00.000Z", "kind": "void", "bidder": f"b{number}"} for number in range(25_000)]
    started = time.perf_counter()
    answer = played(rules, *events)
    assert (answer["state"], answer["accepted"]) == ("unsold", 25_000)
    assert time.perf_counter() - started < 30


def run(document, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "auctions", *(arguments or ("replay", "-"))],
        input=document, capture_output=True, check=False,
    )  # fmt: skip


def test_the_command_line_answers_as_the_function_does():
    document = {"rules": english(), "events": [bid("09:10:00.000", "甲", "1000000.00")], "as_of": None}
    result = run(json.dumps(document).encode())
    assert (result.returncode, result.stderr) == (0, b"")
    answer = json.loads(result.stdout)
    assert answer == replay(Node(document))
    assert answer["engine"] == ENGINE


@pytest.mark.parametrize("content", [b"", b"\xff", b'{"a":1,"a":2}', b"[" * 500, b'{"rules":NaN}', b"[]"])
def test_the_command_line_refuses_with_one_problem_and_code_2(content):
    result = run(content)
    assert (result.returncode, result.stdout) == (2, b"")
    problem = json.loads(result.stderr)
    assert (problem["status"], problem["errors"][0]["pointer"]) == (422, "")
    with pytest.raises(BadDocument):
        replay(Node(parse(content)))


@pytest.mark.parametrize(("currency", "largest"), [("JPY", str(2**63 - 1)), ("CNY", "92233720368547758.07")])
def test_amounts_reach_to_the_largest_that_a_row_holds_and_the_refusal_names_it(currency, largest):
    rules = english(currency=currency, start_price=largest, increment={"kind": "fixed", "amount": "1"})
    assert played(rules, bid("09:10:00.000", "A", largest))["price"] == largest
    beyond = largest[:-1] + "8"
    with pytest.raises(BadDocument) as caught:
        played(rules, bid("09:10:00.000", "A", beyond))
    assert caught.value.errors[0]["pointer"] == "/events/0/amount"
    assert caught.value.errors[0]["allowed"].endswith(f"at most {largest}")
