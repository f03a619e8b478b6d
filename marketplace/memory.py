"""The collector of cycles, paused where very many rows are made that all live on.

It would look through every one of them again and again for cycles that are not there: a third of the time of an import
of 100,000 lines. Nothing is kept for longer: what has no reference left goes at once, as always.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Pause the collector of the whole process; whoever finds it paused leaves it so."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()
