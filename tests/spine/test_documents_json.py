"""Strict documents: everything odd is refused with a place, nothing crashes."""

import contextlib
import io
import json
import sys
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace import documents
from marketplace.documents import BadDocument, Node


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b'{"a":1,"a":2}',
        b"NaN",
        b'{"a": Infinity}',
        b"[" * 100_000,
        b"[" * 33 + b"]" * 33,
        b'"\\',
        b"1 2",
    ],
)
def test_unreadable_documents(content):
    with pytest.raises(BadDocument) as caught:
        documents.parse(content)
    assert caught.value.errors[0]["pointer"] == ""


def test_brackets_inside_strings_are_not_depth():
    assert documents.parse(json.dumps(["[" * 100, '"[' * 50]).encode()) == ["[" * 100, '"[' * 50]


@pytest.mark.parametrize(
    "content", [b'"' + b'\\"' * 1_000_000, b'"' + b"a" * 2_000_000, b'"' + b'\\"' * 1_000_000 + b"\\"]
)
def test_a_string_without_an_end_is_read_once_only(content):
    """What scans for brackets once began anew at every escaped quote: 40 kB took 17 seconds, of whoever sent them."""
    started = time.process_time()
    with pytest.raises(BadDocument):
        documents.parse(content)
    assert time.process_time() - started < 5, "seconds; the square of the length would take hours"


def test_a_long_string_takes_memory_like_its_length():
    content = json.dumps('\\"' + "a" * 2_000_000).encode()
    tracemalloc.start()
    try:
        documents.parse(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * len(content)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_what_json_writes_is_read(value):
    assert documents.parse(json.dumps(value).encode()) == value


@given(st.binary(max_size=60))
def test_no_bytes_crash_it(content):
    with contextlib.suppress(BadDocument):
        documents.parse(content)


def _refused(read, value):
    with pytest.raises(BadDocument) as caught:
        read(Node(value, "/a"))
    return caught.value.errors[0]["pointer"]


@pytest.mark.parametrize("value", [1, 1.5, "1.005", "-1", "1e2", "", None, True, "9" * 19, ["1"], "１"])
def test_amounts(value):
    assert _refused(lambda node: node.amount("CNY"), value) == "/a"


@pytest.mark.parametrize(
    "value", ["2026-03-02T09:00:00Z", "2026-03-02T09:00:00.000+00:00", "2026-02-30T09:00:00.000Z", 5, None]
)
def test_instants(value):
    assert _refused(lambda node: node.instant(), value) == "/a"


@pytest.mark.parametrize("value", [True, 1.0, "1", 10**30, -1])
def test_integers(value):
    assert _refused(lambda node: node.integer(0, 100), value) == "/a"


def test_objects_name_the_unknown_and_the_missing_key():
    assert _refused(lambda node: node.object(["b"]), {"b": 1, "c/~": 2}) == "/a/c~1~0"
    assert _refused(lambda node: node.object(["b"]), {}) == "/a/b"
    assert _refused(lambda node: node.object(["b"])["b"].rate(), {"b": "01"}) == "/a/b"


def test_a_key_that_no_text_can_hold_is_named_by_its_escape():
    with pytest.raises(BadDocument) as caught:
        Node(documents.parse(b'{"\\ud800": 1}')).object([])
    assert caught.value.errors[0]["pointer"] == "/\\ud800"


def test_command_line(monkeypatch, capsys, tmp_path):
    commands = {"double": lambda node: {"twice": node.object(["n"])["n"].integer(0, 9) * 2}}
    file = tmp_path / "in.json"
    file.write_text('{"n": 4}')
    assert documents.run("x", commands, ["double", str(file)]) == 0
    assert json.loads(capsys.readouterr().out) == {"twice": 8}
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"n": "x"}')))
    assert documents.run("x", commands, ["double", "-"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err)["errors"][0]["pointer"] == "/n"
    assert documents.run("x", commands, ["double", str(tmp_path / "none")]) == 2
    assert json.loads(capsys.readouterr().err)["status"] == 422
    assert documents.run("x", commands, ["nothing"]) == 2


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_answers_and_problems_are_utf_8_whatever_the_terminal_is(monkeypatch, tmp_path, encoding):
    file = tmp_path / "in.json"
    file.write_text('{"案": "\\ud800"}', encoding="utf-8")
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in "12")
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    assert documents.run("x", {"same": lambda node: {"found": node.child("案").pointer}}, ["same", str(file)]) == 0
    assert json.loads(out.buffer.getvalue().decode("utf-8")) == {"found": "/案"}
    assert documents.run("x", {"same": lambda node: node.child("案").text()}, ["same", str(file)]) == 2
    assert json.loads(err.buffer.getvalue().decode("utf-8"))["errors"][0]["pointer"] == "/案"


@pytest.mark.parametrize(
    ("bound", "content", "allowed"),
    [
        ("MAX_COMMAS", b"[1,1,1,1]", "at most 2 commas"),
        ("MAX_CONTAINERS", b"[[],{}]", "at most 2 objects and lists"),
    ],
)
def test_a_document_has_so_many_values_at_most(monkeypatch, bound, content, allowed):
    documents.parse(content)
    monkeypatch.setattr(documents, bound, 2)
    documents.parse(b'["[[[{{{",[1]]')
    with pytest.raises(BadDocument, match=allowed):
        documents.parse(content)


def test_what_is_shown_of_a_large_value_is_its_beginning():
    shown = BadDocument("", [{"a": "漢" * 50}] * 1_000_000, "less").errors[0]["found"]
    assert shown == json.dumps([{"a": "漢" * 50}] * 2, ensure_ascii=False)[:79] + "…"
    assert BadDocument("", "x" * 80, "less").errors[0]["found"] == "x" * 80
    assert BadDocument("", "x" * 81, "less").errors[0]["found"] == "x" * 79 + "…"
    assert BadDocument("", {"a": [1, None]}, "less").errors[0]["found"] == '{"a": [1, null]}'
