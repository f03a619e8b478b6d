"""The pure rules: access, index numbers, agreement hashes, and taking an untrusted answer apart."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from due_diligence.domain import index, rooms, verdicts
from due_diligence.domain.rooms import Audience, GrantBasis, GrantState, RoomAccess
from due_diligence.domain.verdicts import Verdict

GRANTS = [None, *((state, basis) for state in GrantState for basis in GrantBasis)]


@pytest.mark.parametrize("access", RoomAccess)
@pytest.mark.parametrize("grant", GRANTS)
@pytest.mark.parametrize("licensed", [True, False])
def test_access_is_decided_by_grant_then_licence(access, grant, licensed):
    by_licence = access is RoomAccess.LICENSED_BUYERS and licensed
    expected = {
        None: by_licence,
        (GrantState.LIVE, GrantBasis.INVITATION): True,
        (GrantState.LIVE, GrantBasis.LICENCE): by_licence,
    }.get(grant, False)
    assert rooms.may_enter(access=access, grant=grant, licensed=licensed) is expected


def test_nobody_outside_sees_internal_documents():
    assert all(Audience.INTERNAL not in rooms.audiences(basis) for basis in (None, *GrantBasis))


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_texts_share_a_hash_only_when_they_are_the_same(zh, en, other_zh, other_en):
    if not all(text.strip() for text in (zh, en, other_zh, other_en)):
        return
    same = rooms.agreement_hash(text_zh=zh, text_en=en) == rooms.agreement_hash(text_zh=other_zh, text_en=other_en)
    assert same is ((zh, en) == (other_zh, other_en))


@pytest.mark.parametrize(("zh", "en"), [("", "a"), ("一", " ")])
def test_an_agreement_has_both_languages(zh, en):
    with pytest.raises(rooms.EmptyAgreement):
        rooms.agreement_hash(text_zh=zh, text_en=en)


@given(st.lists(st.integers(1, index.MAX_CHILDREN), min_size=1, max_size=index.MAX_DEPTH))
def test_index_numbers_are_built_and_ordered(positions):
    number = ""
    for position in positions:
        number = index.child(number, position)
    assert index.order(number) == tuple(positions)


def test_index_numbers_have_bounds():
    assert sorted(["1.10", "1.2", "1"], key=index.order) == ["1", "1.2", "1.10"]
    for parent, position in (("", 0), ("", index.MAX_CHILDREN + 1), (".".join(["1"] * index.MAX_DEPTH), 1)):
        with pytest.raises(index.IndexFull):
            index.child(parent, position)


@given(
    st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_what_is_no_answer_is_refused(content):
    with pytest.raises(verdicts.NotAnAnswer):
        verdicts.reading(content)


GOOD = {"verdict": "ok", "pages": 2, "texts": ["a", "b"], "note": ""}


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "fine"},
        {"pages": "2"},
        {"pages": True},
        {"pages": 3},
        {"pages": -1},
        {"pages": 10**9},
        {"texts": None},
        {"texts": ["a", 2]},
        {"texts": ["a" * verdicts.MAX_TEXT, "b"]},
        {"note": 1},
    ],
)
def test_an_answer_is_exact(change):
    assert verdicts.reading(json.dumps(GOOD).encode()).pages == 2
    with pytest.raises(verdicts.NotAnAnswer):
        verdicts.reading(json.dumps(GOOD | change).encode())


def test_text_is_cleaned_for_the_database():
    reading = verdicts.reading(json.dumps(GOOD | {"texts": ["a\x00b\ud800", "x" * 30_000]}).encode())
    assert reading.texts == ("a b", "x" * verdicts.MAX_PAGE_TEXT)


@pytest.mark.parametrize(
    ("causes", "verdict"),
    [
        (["time", "time"], Verdict.LIMIT),
        (["memory", "time"], Verdict.LIMIT),
        (["signal", "time"], Verdict.HOSTILE),
        (["answer", "answer"], Verdict.HOSTILE),
    ],
)
def test_deaths_have_a_verdict(causes, verdict):
    assert verdicts.after_deaths(causes).verdict is verdict


def test_every_verdict_says_what_to_do_in_both_languages():
    assert set(verdicts.SENTENCES) == set(Verdict)
    for verdict, sentence in verdicts.SENTENCES.items():
        assert sentence.zh
        assert sentence.en
        if verdict not in verdicts.DELIVERABLE:
            assert "上传" in sentence.zh
            assert "upload" in sentence.en


@pytest.mark.parametrize(
    ("content", "is_pdf"),
    [(b"%PDF-1.4\n", True), (b"junk\n%PDF-1.4", True), (b"PK\x03\x04%PDF-", False), (b" " * 1024 + b"%PDF-", False)],
)
def test_a_pdf_is_known_by_its_head(content, is_pdf):
    assert verdicts.starts_like_pdf(content) is is_pdf
