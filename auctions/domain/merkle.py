"""The tree of a batch: one hash stands for many documents, and each proves with a few hashes that it is among them.

The Merkle tree of RFC 9162, section 2.1, over SHA-256: leaves and nodes are hashed with different first bytes, so that
none can be shown for the other. Nothing here knows what the documents are.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

HASH_BYTES: Final = 32
MAX_SIZE: Final = 65_535
"""No batch is greater: place and size take two bytes each where they are stored."""

_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"
_HEAD_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Where a document stands in its batch, from 0, and the hashes that lead from its leaf to the root."""

    index: int
    size: int
    path: tuple[bytes, ...]

    @property
    def packed(self) -> bytes | None:
        """The inclusion as it is stored: index, size, path; None for the only one of its batch."""
        if self.size == 1:
            return None
        return self.index.to_bytes(2, "big") + self.size.to_bytes(2, "big") + b"".join(self.path)

    @classmethod
    def unpacked(cls, stored: bytes | None) -> "Inclusion":
        """Undo `packed`."""
        if stored is None:
            return ALONE
        starts = range(_HEAD_BYTES, len(stored), HASH_BYTES)
        path = tuple(stored[start : start + HASH_BYTES] for start in starts)
        return cls(int.from_bytes(stored[:2], "big"), int.from_bytes(stored[2:_HEAD_BYTES], "big"), path)


ALONE: Final = Inclusion(0, 1, ())
"""The place of the only document of a batch: its leaf is the root."""


def leaf(content: bytes) -> bytes:
    """Return the hash of a document as a leaf."""
    return hashlib.sha256(_LEAF + content).digest()


def plant(leaves: Sequence[bytes]) -> tuple[bytes, list[Inclusion]]:
    """Return the root over leaves, at least one and at most `MAX_SIZE`, and the inclusion of each.

    A last node without a partner is its own parent, which gives the tree of RFC 9162.
    """
    size = len(leaves)
    if not 0 < size <= MAX_SIZE:
        raise ValueError(f"a batch has 1 to {MAX_SIZE} documents, not {size}")
    sha256 = hashlib.sha256
    paths: list[list[bytes]] = [[] for _ in leaves]
    level, width = list(leaves), 1
    while len(level) > 1:
        for index, path in enumerate(paths):
            beside = index // width ^ 1
            if beside < len(level):
                path.append(level[beside])
        above = [sha256(_NODE + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)]
        level = above + level[2 * len(above) :]
        width *= 2
    return level[0], [Inclusion(index, size, tuple(path)) for index, path in enumerate(paths)]


def root_of(start: bytes, inclusion: Inclusion) -> bytes | None:
    """Return the root to which a leaf's path leads (RFC 9162, 2.1.3.2); None for a place that no such path has."""
    place, last, found = inclusion.index, inclusion.size - 1, start
    if place > last:
        return None
    for beside in inclusion.path:
        if last == 0:
            return None
        if place & 1 or place == last:
            found = hashlib.sha256(_NODE + beside + found).digest()
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = hashlib.sha256(_NODE + found + beside).digest()
        place, last = place >> 1, last >> 1
    return found if last == 0 else None
