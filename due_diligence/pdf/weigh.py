"""What the streams of a document unpack to, inside the child: everything that a copy would carry, once, in a budget.

Page contents are decoded whole, as a copy does; other deflated streams are inflated block by block and thrown away.
"""

import zlib
from dataclasses import dataclass, field
from typing import Any, Final

import pypdf
from pypdf.generic import ArrayObject, DictionaryObject, IndirectObject, StreamObject

from due_diligence.pdf import carried

MAX_CONTENT_BYTES: Final = 64_000_000
"""Unpacked drawing instructions of one page; an honest plan with 2.4 million tokens has about 20 million bytes."""
MAX_TOTAL_BYTES: Final = 1_500_000_000
"""Everything unpacked, images included."""
MAX_OBJECTS: Final = 400_000
BOMB_RATIO: Final = 250
"""Unpacked to packed. Deflate ends near 1,030; drawing instructions stay below 40."""
BOMB_BYTES: Final = 8_000_000
MAX_IMAGE_BYTES: Final = 1_000_000_000
"""An A0 plan at 600 dpi in three colours, plus a third."""
_BLOCK: Final = 1 << 20
_FLATE: Final = {"/FlateDecode", "/Fl"}


class TooHeavy(Exception):
    """The document unpacks to too much; `bomb` when it is built for that."""

    def __init__(self, note: str, *, bomb: bool) -> None:
        super().__init__(note)
        self.bomb = bomb


@dataclass
class _Scale:
    total: int = 0
    seen: set[int] = field(default_factory=set)
    waiting: list[Any] = field(default_factory=list)

    def add(self, size: int) -> None:
        self.total += size
        if self.total > MAX_TOTAL_BYTES:
            raise TooHeavy("the file unpacks to too much", bomb=False)


def check(pages: list[pypdf.PageObject], catalogue: DictionaryObject) -> None:
    """Unpack what copies of these pages would carry; raise `TooHeavy`, or what the library raises on a broken page."""
    scale = _Scale()
    known: set[int] = set()
    for page in pages:
        reference = page.indirect_reference
        if reference is not None and reference.idnum in known:
            continue
        if reference is not None:
            known.add(reference.idnum)
        _contents(page, scale)
        if "/Resources" in page:
            scale.waiting.append(page.raw_get("/Resources"))
        scale.waiting.extend(appearance for appearance, _ in carried.appearances(page))
        _drain(scale)
    if "/OCProperties" in catalogue:
        scale.waiting.append(catalogue.raw_get("/OCProperties"))
        _drain(scale)


def _contents(page: pypdf.PageObject, scale: _Scale) -> None:
    """Inflate the parts of a page's instructions without keeping them, then decode the whole as a copy does."""
    for part in _parts(page):
        _stream(part, scale)
    content = page.get_contents()
    size = len(content.get_data()) if content is not None else 0
    if size > MAX_CONTENT_BYTES:
        raise TooHeavy("a page unpacks to too many drawing instructions", bomb=False)
    scale.add(size)


def _parts(page: pypdf.PageObject) -> list[StreamObject]:
    contents = carried.resolved(page, "/Contents")
    entries = list.__iter__(contents) if isinstance(contents, ArrayObject) else iter([contents])
    parts = [entry.get_object() for entry in entries if entry is not None]
    return [part for part in parts if isinstance(part, StreamObject)]


def _drain(scale: _Scale) -> None:
    while scale.waiting:
        value = scale.waiting.pop()
        if isinstance(value, IndirectObject):
            if value.idnum in scale.seen:
                continue
            scale.seen.add(value.idnum)
            if len(scale.seen) > MAX_OBJECTS:
                raise TooHeavy("the pages use too many objects", bomb=False)
            value = value.get_object()
        if isinstance(value, StreamObject):
            _stream(value, scale)
        if isinstance(value, DictionaryObject):
            scale.waiting.extend(inner for _, inner in carried.entries(value))
        elif isinstance(value, ArrayObject):
            scale.waiting.extend(list.__iter__(value))


def _stream(stream: StreamObject, scale: _Scale) -> None:
    packed = stream._data  # noqa: SLF001 - the packed bytes, which the library only hands out unpacked
    filters = _filters(stream)
    if not filters or any(name not in _FLATE for name in filters):
        return
    allowed = _image_bytes(stream)
    size = _inflated(packed, len(filters), allowed or MAX_CONTENT_BYTES)
    if allowed is None and size > BOMB_BYTES and size > BOMB_RATIO * len(packed):
        raise TooHeavy("a stream unpacks to far more than it holds", bomb=True)
    scale.add(size)


def _filters(stream: StreamObject) -> list[str]:
    value = stream.get("/Filter")
    value = value.get_object() if value is not None else None
    if isinstance(value, ArrayObject):
        return [str(entry.get_object()) for entry in list.__iter__(value)]
    return [] if value is None else [str(value)]


def _image_bytes(stream: StreamObject) -> int | None:
    """Return what an image may unpack to by its own dimensions (with room for predictors), None when it is no image."""
    if stream.get("/Subtype") != "/Image":
        return None
    sides = [stream.get(key) for key in ("/Width", "/Height")]
    width, height = (side.get_object() if side is not None else 0 for side in sides)
    if not isinstance(width, int) or not isinstance(height, int) or width < 0 or height < 0:
        return BOMB_BYTES
    depth = stream.get("/BitsPerComponent", 8)
    depth = depth.get_object() if hasattr(depth, "get_object") else depth
    row = width * 5 * (depth if isinstance(depth, int) and 0 < depth <= 16 else 8) // 8 + 8  # noqa: PLR2004 - PDF's bound
    size = row * height + 65_536
    if size > MAX_IMAGE_BYTES:
        raise TooHeavy("an image has too many pixels", bomb=False)
    return size


def _inflated(packed: bytes, layers: int, allowed: int) -> int:
    """Return the unpacked size without keeping it; raise `TooHeavy` beyond `allowed`. Damage ends it quietly."""
    stages = [zlib.decompressobj() for _ in range(layers)]
    size = 0
    waiting = [(0, packed)]
    while waiting:
        level, block = waiting.pop()
        try:
            out = stages[level].decompress(block, _BLOCK)
        except zlib.error:
            return size
        if stages[level].unconsumed_tail:
            waiting.append((level, stages[level].unconsumed_tail))
        if level + 1 < layers:
            if out:
                waiting.append((level + 1, out))
            continue
        size += len(out)
        if size > allowed:
            used = len(packed) - len(stages[0].unconsumed_tail)
            raise TooHeavy("a stream unpacks to far more than it may", bomb=size > BOMB_RATIO * max(1, used))
    return size
