"""The bundle: a ZIP archive in one canonical form, so that every byte of it is either right or noticed.

Members are stored, not compressed, in a fixed order, with fixed times and no comments; each is canonical JSON. The
manifest names the length and hash of every other member, and the signature covers the manifest. Because the same
members always give the same bytes, an archive is checked by packing its members again.
"""

import itertools
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from auctions.domain import proofs
from auctions.domain.canonical import canonical
from auctions.domain.proofs import Signer

TYPE: Final = "auction-bundle-1"
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "signature.json"
ORDER: Final = (
    MANIFEST,
    SIGNATURE,
    "keys.json",
    "auction.json",
    "rules.json",
    "reserve.json",
    "replay.json",
    "result.json",
    "receipts.json",
    "awards.json",
    "sealed.json",
    "solver.json",
)
"""Every member there can be, in the order of the archive."""

OPTIONAL: Final = frozenset({"sealed.json", "solver.json"})
ARCHIVE: Final = "archive"
"""Names what belongs to no member."""

_LOCAL: Final = struct.Struct("<4s5H3L2H")
_ENTRY: Final = struct.Struct("<4s6H3L5H2L")
_END: Final = struct.Struct("<4s4H2LH")
_LOCAL_MARK: Final = b"PK\x03\x04"
_ENTRY_MARK: Final = b"PK\x01\x02"
_END_MARK: Final = b"PK\x05\x06"
_VERSION: Final = 20
_MAX_MEMBERS: Final = 2 * len(ORDER)
"""More than any bundle has, so that each odd one is named, and few enough that a made-up archive costs nothing."""

_DAY: Final = (1 << 5) | 1
"""The first day of ZIP's calendar: 1 January 1980."""

Members = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of bytes of an archive, and the member that it belongs to."""

    member: str
    content: bytes


class NotAnArchive(Exception):
    """Nothing in the bytes looks like a bundle."""


def build(members: dict[str, Any], *, auction_id: str, made_at: str, signer: Signer) -> bytes:
    """Return the archive of members given as JSON values, with manifest and signature."""
    contents = {name: canonical(members[name]) for name in ORDER if name in members}
    manifest = canonical(
        {
            "type": TYPE,
            "auction_id": auction_id,
            "made_at": made_at,
            "key_id": signer.key_id,
            "members": [describe(name, content) for name, content in contents.items()],
        }
    )
    signature = canonical(
        {
            "key_id": signer.key_id,
            "manifest": proofs.bytes_hash(manifest),
            "signature": proofs.encode_base64(signer.private.sign(manifest)),
        }
    )
    return pack([(MANIFEST, manifest), (SIGNATURE, signature), *contents.items()])


def describe(name: str, content: bytes) -> dict[str, Any]:
    """Return what the manifest says of a member."""
    return {"name": name, "bytes": len(content), "sha256": proofs.bytes_hash(content)}


def pack(members: Members) -> bytes:
    """Return the one archive of these members in this order."""
    return b"".join(piece.content for piece in layout(members))


def layout(members: Members) -> Iterator[Piece]:
    """Yield the pieces of the archive of these members: headers and contents, the directory, the end."""
    position, directory = 0, []
    for name, content in members:
        plain = name.encode("utf-8", "surrogateescape")
        figures = (zlib.crc32(content), len(content), len(content), len(plain), 0)
        header = _LOCAL.pack(_LOCAL_MARK, _VERSION, 0, 0, 0, _DAY, *figures) + plain
        entry = _ENTRY.pack(_ENTRY_MARK, _VERSION, _VERSION, 0, 0, 0, _DAY, *figures, 0, 0, 0, 0, position) + plain
        directory.append(Piece(name, entry))
        yield Piece(name, header)
        yield Piece(name, content)
        position += len(header) + len(content)
    yield from directory
    length, count = sum(len(piece.content) for piece in directory), len(directory)
    yield Piece(ARCHIVE, _END.pack(_END_MARK, 0, 0, count, count, length, position, 0))


def unpack(content: bytes) -> tuple[Members, list[str]]:
    """Return the members of an archive and the names of those (or `archive`) whose bytes are not canonical.

    Members are read along the archive and along its directory; the reading that explains the bytes better is believed.
    Raises `NotAnArchive`.
    """
    readings = [reading for reading in (_along(content), _by_directory(content)) if reading]
    if not readings:
        if _LOCAL_MARK in content or _END_MARK in content:
            return [], [ARCHIVE]
        raise NotAnArchive
    judged = [(reading, differences(reading, content)) for reading in readings]
    members, found = min(judged, key=lambda pair: (len(pair[1]), sum(name not in ORDER for name, _ in pair[0])))
    return members, list(dict.fromkeys(found))


def differences(members: Members, content: bytes) -> list[str]:
    """Return the owner of each piece in which `content` differs from the canonical archive of `members`."""
    position, found = 0, []
    for piece in layout(members):
        if content[position : position + len(piece.content)] != piece.content:
            found.append(piece.member)
        position += len(piece.content)
    if position != len(content):
        found.append(ARCHIVE)
    return found


def _along(content: bytes) -> Members:
    members: list[tuple[str, bytes]] = []
    position = 0
    while content[position : position + 4] == _LOCAL_MARK and len(members) < _MAX_MEMBERS:
        found = _member(content, position)
        if found is None:
            return []
        name, data, position = found
        members.append((name, data))
    return members


def _by_directory(content: bytes) -> Members:
    end = content.rfind(_END_MARK)
    if end < 0 or end + _END.size > len(content):
        return []
    position, members = _END.unpack_from(content, end)[6], []
    for _ in itertools.repeat(None, len(ORDER)):
        if content[position : position + 4] != _ENTRY_MARK or position + _ENTRY.size > len(content):
            break
        figures = _ENTRY.unpack_from(content, position)
        found = _member(content, figures[16], length=figures[9], name_length=figures[10])
        if found is None:
            return []
        name_at = position + _ENTRY.size
        members.append((_text(content[name_at : name_at + figures[10]]), found[1]))
        position = name_at + figures[10]
    return members


def _member(
    content: bytes, position: int, *, length: int | None = None, name_length: int | None = None
) -> tuple[str, bytes, int] | None:
    if position + _LOCAL.size > len(content):
        return None
    figures = _LOCAL.unpack_from(content, position)
    length = figures[8] if length is None else length
    name_at = position + _LOCAL.size
    data_at = name_at + (figures[9] if name_length is None else name_length)
    if data_at + length > len(content):
        return None
    return _text(content[name_at:data_at]), content[data_at : data_at + length], data_at + length


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
