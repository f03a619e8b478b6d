"""Closing plays a log once, in passing; what it finds is what anybody finds who plays the whole document."""

from datetime import timedelta

import pytest

from auctions import log, playback
from auctions.domain.replay import replay
from marketplace.documents import Node
from tests.auctions.arena import OPENS, rules
from tests.auctions.arena import arena as arena  # noqa: PLC0414 - a fixture

ACCEPT = (None, "accept")
PLAYED = {
    "english": ((), (100,), (110,), (120,)),
    "proxy": ((), (100, "maximum"), (150, "maximum"), (170, "maximum")),
    "two_phase": ((), (100,), (110,), (120,)),
    "dutch": ((35,), ACCEPT),
    "gong": ((35,), ACCEPT),
    "hybrid_dutch": ((35,), ACCEPT),
}


def play(arena, form):
    """Bids of A, B and C in turn, then a suspension, and B removed."""
    arena.open(rules(form))
    wait, *attempts = PLAYED[form]
    arena.at(OPENS + timedelta(seconds=sum(wait)))
    for name, attempt in zip("ABC", attempts, strict=False):
        assert isinstance(arena.bid(name, *attempt), int)
    if len(attempts) > 1:
        arena.steer("suspend")
        arena.steer("resume")
        arena.steer("void", name="B")


@pytest.mark.parametrize("form", PLAYED)
def test_in_passing_as_from_the_document(arena, form, monkeypatch):
    monkeypatch.setattr(log, "READ_AT_ONCE", 2)
    play(arena, form)
    with arena.sessions() as session:
        auction = arena.row()
        _, found = playback.concluded(session, auction)
        whole = replay(Node(playback.document_of(session, auction)))
    assert whole.pop("answers")
    assert found == whole


def test_whoever_stops_reading_leaves_nothing_open(arena, monkeypatch):
    monkeypatch.setattr(log, "READ_AT_ONCE", 1)
    play(arena, "english")
    auction = arena.row()
    auction.rules_hash = "sha256:" + "0" * 64
    with arena.sessions() as session:
        with pytest.raises(playback.LogDisagrees), session.begin_nested():
            playback.checked(session, auction)
        assert session.connection().exec_driver_sql("SELECT count(*) FROM pg_cursors").scalar() == 0
