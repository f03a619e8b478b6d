"""`python -m auctions verify BUNDLE [KEYS]`: check a bundle offline; KEYS is a saved answer of `GET /auction-keys`.

Prints the verdict as JSON. Exit code 0: everything is right; 1: something is wrong and named; 2: no bundle, or no file.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from auctions.domain import verification
from auctions.domain.verification import NotABundle
from marketplace import documents
from marketplace.errors import Failure

_USAGE = "usage: python -m auctions verify BUNDLE [KEYS]   (KEYS: a saved answer of GET /api/v1/auction-keys)\n"


def run(arguments: Sequence[str]) -> int:
    """Be the command; `arguments` after `verify`."""
    if len(arguments) not in {1, 2}:
        sys.stderr.write(_USAGE)
        return 2
    try:
        published = _keys(arguments[1]) if len(arguments) > 1 else None
        verdict = verification.verify(_read(arguments[0], verification.MAX_BYTES), published=published)
    except Failure as failure:
        documents.tell(sys.stderr, documents.problem(failure))
        return 2
    documents.tell(sys.stdout, verdict.document, indent=1)
    return 1 if verdict.findings else 0


def _read(name: str, maximum: int) -> bytes:
    try:
        with Path(name).open("rb") as file:
            content = file.read(maximum + 1)
    except OSError as error:
        raise documents.BadDocument("", f"unreadable file: {error.strerror}", "a file that can be read") from None
    if len(content) > maximum:
        raise NotABundle
    return content


def _keys(name: str) -> list[dict[str, Any]]:
    node = documents.Node(documents.parse(_read(name, documents.MAX_BYTES)))
    rows = node if isinstance(node.value, list) else node.object(["items"], ["next"])["items"]
    for row in rows.list():
        if not isinstance(row.value, dict) or not {"key_id", "public_key"} <= row.value.keys():
            raise row.refuse("a key with key_id and public_key")
    return list(rows.value)
