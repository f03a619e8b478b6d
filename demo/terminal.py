"""What the demonstration shows on a terminal: numbered steps, moving bars, a closing table."""

import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

WIDTH: Final = 24
STEPS: Final = 11


def say(text: str = "") -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def width(text: str) -> int:
    """Columns of a text on a terminal; Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


@contextmanager
def step(number: int, title: str) -> Iterator[Callable[[str], None]]:
    """Show a step while it runs and what came of it when it is done: the body calls `result(text)`."""
    head = f"{number:>2}/{STEPS} {title}"
    sys.stdout.write(head + " …" + (" " if sys.stdout.isatty() else "\n"))
    sys.stdout.flush()
    begun = time.monotonic()
    results: list[str] = []
    yield results.append
    lead = "\r\x1b[K" if sys.stdout.isatty() else ""
    seconds = time.monotonic() - begun
    say(f"{lead}{head}{' ' * max(1, 34 - width(head))}{'; '.join(results)}  ({seconds:.1f} s)")


def bar(title: str) -> Callable[[Any], None]:
    """Return a function that shows how far a job or an auction is; silent when the output is no terminal."""

    def show(answer: Any) -> None:
        if not sys.stdout.isatty() or not answer.get("total"):
            return
        done = min(answer["done"] / answer["total"], 1)
        filled = int(done * WIDTH)
        sys.stdout.write(f"\r\x1b[K   {title} [{'#' * filled}{'.' * (WIDTH - filled)}] {done:4.0%} {answer['note']}")
        sys.stdout.flush()

    return show


def table(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print two columns, the right one to the right."""
    left = max(width(name) for name, _ in rows)
    right = max(width(value) for _, value in rows)
    say()
    say(title)
    say("─" * (left + right + 3))
    for name, value in rows:
        say(f"{name}{' ' * (left - width(name))}   {' ' * (right - width(value))}{value}")
