"""Commitments to sealed books: fixed moments, heads that say nothing, books that nobody exchanges after the end."""

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from auctions import evidence, opening, sealed_book
from auctions.domain import commitments, proofs, verification
from tests.auctions.arena import ENDS, OPENS, SECOND, rules
from tests.auctions.arena import arena as arena  # noqa: PLC0414 - a fixture
from tests.auctions.test_proofs_bundle import made, parts, resigned

RULES = "sha256:" + "0" * 64
BOOKS = st.lists(st.lists(st.binary(min_size=4, max_size=4), min_size=2, max_size=2), max_size=3)
MINUTE = timedelta(minutes=1)


@given(st.lists(BOOKS, min_size=1, max_size=4), st.binary(min_size=32, max_size=32))
def test_a_chain_gives_every_digest_back_and_binds_it(moments, seed):
    head, rows = commitments.genesis(RULES, seed), []
    for number, books in enumerate(moments, 1):
        made_now = commitments.take(head, number=number, at=str(number), seed=seed, books=books)
        rows.append(made_now)
        head = made_now.head
    for number, (row, books) in enumerate(zip(rows, moments, strict=True), 1):
        found = commitments.unveil(seed, number=number, veiled=row.veiled)
        assert found == commitments.digest(books)
        other = commitments.digest([*books, [b"more"]])
        assert found != other
    assert len({row.veiled for row in rows}) == len(rows), "the same books do not look the same twice"
    assert commitments.genesis(RULES, bytes(32)) != commitments.genesis(RULES, bytes(31) + b"\1")


@given(st.integers(1, 60 * 24 * 40), st.integers(-100, 60 * 24 * 41 * 60))
def test_moments_depend_on_the_clock_alone(minutes, second):
    opens_at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    ends_at, now = opens_at + minutes * MINUTE, opens_at + timedelta(seconds=second)
    due_at = commitments.due_at(opens_at=opens_at, ends_at=ends_at, now=now)
    if second < 0:
        assert due_at is None
        return
    assert opens_at <= due_at <= min(now, ends_at)
    assert due_at == ends_at or now - due_at < max(MINUTE, minutes * MINUTE / commitments.MOMENTS)
    assert commitments.due_at(opens_at=opens_at, ends_at=ends_at, now=due_at) == due_at


def committed(arena, moment):
    arena.at(moment)
    with arena.sessions.begin() as session:
        return sealed_book.commit_due(session, vault=arena.running.vault)


def head(arena):
    with arena.sessions() as session:
        return opening.view_sealing(session, auction_id=arena.auction_id).books_head


def played(arena):
    """Two minutes with a bid each, two without; commitments at every minute and at the end."""
    arena.open(rules("sealed_first_price"))
    arena.seal()
    assert head(arena) is None
    heads = []
    for minute, name in ((0, "A"), (1, "B"), (2, None), (3, "A"), (4, None)):
        assert committed(arena, OPENS + minute * MINUTE) == 1
        heads.append(head(arena))
        assert committed(arena, OPENS + minute * MINUTE + 59 * SECOND) == 0
        if name is not None:
            assert arena.bid(name, 150 + minute) is None
        assert head(arena) == heads[-1], "a head moves at its moment, not at a bid"
    assert len(set(heads)) == len(heads), "it moves without a bid as well"
    arena.at(ENDS)
    arena.unseal()
    assert committed(arena, ENDS + SECOND) == 0, "the first share made the last commitment"
    assert arena.close() == 1
    return made(arena)


def test_the_books_opened_are_those_committed_to(arena):
    content = played(arena)
    verdict = verification.verify(content)
    assert verdict.findings == []
    assert (verdict.checked["commitments"], verdict.checked["boxes"]) == (6, 3)
    values = parts(content)
    assert values["auction.json"]["books_head"] == proofs.head_text(head(arena))
    with arena.sessions() as session:
        own = evidence.signing.signer(session, vault=arena.running.vault, at=ENDS)

    def wrong(edit):
        changed = json.loads(json.dumps(values))
        edit(changed)
        found = verification.verify(resigned(values, own, **changed)).findings
        return [one.detail for one in found if one.code == "books_wrong"]

    def another_box(changed):
        changed["sealed.json"]["books"][0][0] = changed["sealed.json"]["books"][1][0]

    def backdated(changed):
        place = changed["sealed.json"]["boxes"][2]["event"]
        changed["replay.json"]["events"][place]["at"] = "2026-03-02T12:02:30.000Z"

    assert wrong(lambda v: v["sealed.json"]["boxes"].pop()) == ["the books hold other attempts than the bundle"]
    assert "the books opened are not those of the last commitment" in wrong(another_box)
    assert wrong(backdated) == ["commitment 4: an attempt is dated where the books stood still"]
    assert "the last commitment was made before the end" in wrong(
        lambda v: v["result.json"].update(ends_at="2026-03-02T14:00:00.000Z")
    )
    for edit in (
        lambda v: v["sealed.json"]["commitments"].pop(),
        lambda v: v["sealed.json"]["commitments"].pop(2),
        lambda v: v["sealed.json"]["commitments"][1].update(veiled="00" * 32),
        lambda v: v["sealed.json"].update(seed="00" * 32),
        lambda v: v["auction.json"].update(books_head=RULES),
    ):
        assert "the chain of commitments does not end in the published head" in wrong(edit)


def test_commitments_stay_and_a_restart_makes_no_second(arena):
    arena.open(rules("sealed_second_price"))
    arena.seal()
    assert [committed(arena, OPENS + 90 * SECOND) for _ in range(3)] == [1, 0, 0]
    arena.steer("suspend")
    assert committed(arena, OPENS + 5 * MINUTE) == 0
    arena.steer("resume")
    assert committed(arena, OPENS + 6 * MINUTE) == 1
    with arena.sessions() as session:
        rows = session.execute(text("SELECT number, at FROM sealed_commitments ORDER BY number")).all()
    assert [(row.number, row.at.astimezone(UTC)) for row in rows] == [
        (1, OPENS + 90 * SECOND), (2, OPENS + 6 * MINUTE),
    ]  # fmt: skip
