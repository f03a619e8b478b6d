"""The two questions to the children: what is this file, and give me a marked copy of it. Fails closed."""

import json
from typing import Final

import structlog

from due_diligence.domain import verdicts
from due_diligence.domain.verdicts import Reading
from due_diligence.pdf import mark, sandbox
from marketplace.errors import Conflict

log = structlog.get_logger(__name__)

MAX_DEATHS: Final = 2
"""A file that killed its reader so often is not tried again."""


class NotMarked(Conflict):
    """A marked copy could not be made and verified; nothing is delivered."""

    code = "not_marked"

    def __init__(self) -> None:
        super().__init__(
            "A marked copy of this document could not be made, so it is not given out; the seller is asked to make "
            "the PDF anew.",
        )


def read(content: bytes) -> Reading:
    """Read a PDF in children; a child that dies is tried once more. Never raises for what the file is."""
    causes: list[str] = []
    limits = sandbox.Limits.of(len(content), answer_bytes=verdicts.MAX_ANSWER_BYTES)
    while len(causes) < MAX_DEATHS:
        try:
            return verdicts.reading(sandbox.run("read", [content], limits=limits).said)
        except sandbox.ChildDied as death:
            causes.append(death.cause)
        except verdicts.NotAnAnswer:
            causes.append("answer")
    return verdicts.after_deaths(causes)


def marked_copy(content: bytes, *, lines: tuple[str, ...], pages: int) -> bytes:
    """Return a copy of a deliverable PDF with `lines` over every page, verified; raise `NotMarked`.

    `pages` is how many pages the reading found; a copy with another number is not delivered.
    """
    drawn = mark.draw(*lines)
    document = drawn.document()
    size = len(content)
    stamping = sandbox.Limits.of(size, answer_bytes=4096, file_bytes=3 * size + 64 * sandbox.MEBIBYTE)
    made = _asked("stamp", [content, document], stamping)
    checking = sandbox.Limits.of(len(made.written), answer_bytes=4096)
    checked = _asked("verify", [made.written, document], checking)
    for answer in (made, checked):
        if _pages(answer.said) != pages:
            log.warning("copy not marked", said=answer.said[:300])
            raise NotMarked
    return made.written


def _asked(task: str, inputs: list[bytes], limits: sandbox.Limits) -> sandbox.Answer:
    try:
        return sandbox.run(task, inputs, limits=limits)
    except sandbox.ChildDied as death:
        log.warning("copy not marked", task=task, cause=death.cause)
        raise NotMarked from None


def _pages(said: bytes) -> int | None:
    """Return how many pages a child says it did without a fault, None when it says anything else."""
    try:
        answer = json.loads(said)
        return int(answer["pages"]) if answer["fault"] == "" else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
