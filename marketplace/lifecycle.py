"""States and the verbs between them, as data: one table per noun, beside its enum.

The tables serve the services (through `marketplace.audit.transition`, the one function that writes a state), the tests
(every pair of state and verb) and the generated diagrams.
"""

import enum
from collections.abc import Iterable
from typing import Generic, TypeVar

from marketplace.errors import Conflict

S = TypeVar("S", bound=enum.StrEnum)


class IllegalMove(Conflict):
    """The verb is not allowed in this state."""

    code = "illegal_move"

    def __init__(self, *, noun: str, state: str, verb: str, allowed: list[str]) -> None:
        verbs = ", ".join(allowed) or "nothing"
        super().__init__(
            f"{noun} is {state}: {verb} is not possible; possible from here: {verbs}.",
            state=state,
            verb=verb,
            allowed=allowed,
        )


class Lifecycle(Generic[S]):
    """The moves of one noun: an initial state and rows of (from, verb, to)."""

    def __init__(self, noun: str, initial: S, rows: Iterable[tuple[S, str, S]]) -> None:
        self.noun = noun
        self.initial = initial
        self.states: type[S] = type(initial)
        self.rows = tuple(rows)
        self._moves = {(source, verb): target for source, verb, target in self.rows}
        if len(self._moves) != len(self.rows):
            raise ValueError(f"{noun}: a verb leads to two states")
        unreachable = set(self.states) - {initial} - {target for _, _, target in self.rows}
        if unreachable:
            raise ValueError(f"{noun}: no way to {sorted(unreachable)}")

    @property
    def verbs(self) -> list[str]:
        """Every verb of the table, sorted."""
        return sorted({verb for _, verb, _ in self.rows})

    def allowed(self, state: S) -> list[str]:
        """Return the verbs possible in a state, sorted."""
        return sorted(verb for source, verb, _ in self.rows if source is state)

    def move(self, state: S, verb: str) -> S:
        """Return the state that `verb` leads to; raise `IllegalMove`."""
        target = self._moves.get((state, verb))
        if target is None:
            raise IllegalMove(noun=self.noun, state=state.value, verb=verb, allowed=self.allowed(state))
        return target
