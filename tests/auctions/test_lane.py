"""Deciding: batches, repetitions, the clock around the end, what the operator does, and what PostgreSQL holds."""

import uuid
from datetime import timedelta

from sqlalchemy import text

from auctions.domain import proofs
from marketplace.errors import Failure
from tests.auctions.arena import ENDS, MILLISECOND, OPENS, SECOND, parsed, rules
from tests.auctions.arena import arena as arena  # noqa: PLC0414 - a fixture


def test_a_batch_is_decided_in_order_and_a_refused_attempt_spoils_nobody(arena):
    arena.open()
    answers = arena.batch(
        arena.attempt("A", 100),
        arena.attempt("A", 120),
        arena.attempt("B", 105),
        arena.attempt("B", 110),
        arena.attempt("C", 119),
        arena.attempt("C", 120),
    )
    told = [answer.code if isinstance(answer, Failure) else answer.sequence for answer in answers]
    assert told == [1, "already_leading", "below_minimum", 2, "below_minimum", 3]
    assert arena.standing() == ("C", 120, ENDS)
    assert [(entry.number, entry.sequence, entry.price_minor) for entry in arena.log()] == [
        (1, 1, 10_000), (2, 2, 11_000), (3, 3, 12_000),
    ]  # fmt: skip
