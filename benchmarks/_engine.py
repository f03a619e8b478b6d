"""A PostgreSQL that a benchmark has to itself: started in a folder of its own, thrown away with it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from marketplace import embedded


@contextmanager
def postgresql(*options: str) -> Iterator[str]:
    """Yield the URL of a server started with `options` (each as `name=value`)."""
    with tempfile.TemporaryDirectory(prefix="npl-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        given = tuple(part for option in options for part in ("-c", option))
        engine = embedded.start_postgresql(folder, options=given)
        try:
            yield engine.url
        finally:
            engine.stop()
