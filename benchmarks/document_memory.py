"""How much memory a document takes while it is read: the worst shapes, and the largest honest one of each command.

Each case is a file handed to the real command line in a process of its own; printed is that process's peak
(`ru_maxrss`) above the one for an empty document, in megabytes and as a multiple of the file's bytes. A file is as
large as asked for (79 unless told) or as the bounds on its objects, lists and commas allow.

    python benchmarks/document_memory.py [MEGABYTES]
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from marketplace.documents import MAX_COMMAS, MAX_CONTAINERS

MEGABYTE = 1024 * 1024
DEPTH = 30

Filled = Callable[[int], bytes]
"""filled(size): a document of about that many bytes."""


def repeated(part: str) -> Filled:
    """A list of nothing but `part`, as many as the size and the bounds of a document allow."""
    inside = part.count("[") + part.count("{")

    def filled(size: int) -> bytes:
        most = min(size // (len(part.encode()) + 1), MAX_COMMAS, (MAX_CONTAINERS - 1) // inside if inside else size)
        return ("[" + ",".join([part] * most) + "]").encode()

    return filled


def written(document: object) -> bytes:
    """A document without blanks."""
    return json.dumps(document, separators=(",", ":")).encode()


def of_cases(size: int) -> bytes:
    """A split, as many cases as fit."""
    cases = [{"case": f"case-{at:09}", "weight": f"{at % 9_999_999 + 1}.07"} for at in range(size // 48)]
    return written({"currency": "CNY", "price": "1000000.00", "cases": cases})


def of_payments(size: int) -> bytes:
    """A computation of delay interest, as many payments as fit."""
    payments = [{"on": "2010-01-02", "amount": "0.01"} for _ in range(size // 37)]
    inputs = {"judged_sum": "99999999.00", "from_on": "2010-01-01", "to_on": "2069-12-31", "payments": payments}
    return written({"compute": "delay_interest", "inputs": inputs})


def of_loans(size: int) -> bytes:
    """A valuation of strata, as many as it takes."""
    strata = [
        {"name": f"n{at}", "exposure": "100.00", "recovery_rate": "0.5", "in_years": "1"}
        for at in range(min(size // 79, 100_000))
    ]
    inputs = {"strata": strata, "cost_rate": "0.1", "discount_rate": "0.1"}
    return written({"method": "strata", "currency": "CNY", "inputs": inputs})


SHAPES: dict[str, Filled] = {
    "empty objects": repeated("{}"),
    "objects of one key": repeated('{"a":1.5}'),
    "lists in lists": repeated("[" * DEPTH + "]" * DEPTH),
    "objects in objects": repeated('{"":' * DEPTH + "1" + "}" * DEPTH),
    "numbers with a point": repeated("1.5"),
    "short texts": repeated('"ab"'),
    "wide characters": repeated('"a漢\U0001f600"'),
}
CASES: dict[str, tuple[str, str, Filled]] = {
    **{name: ("settlement", "split", filled) for name, filled in SHAPES.items()},
    "settlement split": ("settlement", "split", of_cases),
    "collection compute": ("collection", "compute", of_payments),
    "valuation value": ("valuation", "value", of_loans),
}


def measure(program: str, command: str, content: bytes) -> tuple[float, str]:
    """Run a command on a document; return its peak in megabytes and the first words of what it said."""
    with tempfile.TemporaryFile() as said, tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        arguments = [sys.executable, "-m", program, command, file.name]
        process = subprocess.Popen(arguments, cwd=ROOT, stdout=said, stderr=said)
        status, usage = os.wait4(process.pid, 0)[1:]
        said.seek(0)
        answer = json.loads(said.read())
    said_text = answer.get("detail", "answered")
    return usage.ru_maxrss / 1024, f"exit {os.waitstatus_to_exitcode(status)}: {said_text[-60:]}"


def main(megabytes: int) -> None:
    """Print a line for each case."""
    for name, (program, command, filled) in CASES.items():
        least, _ = measure(program, command, b"{}")
        content = filled(megabytes * MEGABYTE)
        most, said = measure(program, command, content)
        size, more = len(content) / MEGABYTE, most - least
        print(f"{name:22} {size:6.1f} MB {more:7.0f} MB {more / size:6.1f} x  {said}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 79)
