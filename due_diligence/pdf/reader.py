"""Reading one PDF, inside the child: pages, text, and what would hurt whoever opens a copy of it.

Every stream that a copy would carry is unpacked once against a budget, because a bomb passes a stamp untouched and
would be delivered. Limits are ours, not the library's defaults, which refuse honest large plans.
"""

import io
import time
from dataclasses import dataclass, field
from typing import Any, Final

import pypdf
from pypdf._configuration import overwrite_configuration
from pypdf.errors import LimitReachedError
from pypdf.generic import ArrayObject, DictionaryObject

from due_diligence.domain.verdicts import MAX_PAGE_TEXT, MAX_PAGES, MAX_TEXT, Verdict, starts_like_pdf
from due_diligence.pdf import weigh

TEXT_SECONDS: Final = 20
"""Processor seconds for extracting text; pages after that are stored without."""
MAX_TREE_NODES: Final = 20_000
MAX_FIELDS: Final = 10_000

LIMITS: Final[dict[str, Any]] = {
    "maximum_declared_stream_length": 256_000_000,
    "array_based_stream_maximum_output_length": 128_000_000,
    "zlib_maximum_output_length": 128_000_000,
    "lzw_maximum_output_length": 128_000_000,
    "run_length_maximum_output_length": 128_000_000,
    "stream_parsing_work_maximum_count": 8_000_000,
    "jbig2dec_binary": None,
}


class Stop(Exception):
    """Reading ends here with a verdict."""

    def __init__(self, verdict: Verdict, note: str = "") -> None:
        super().__init__(note)
        self.verdict = verdict
        self.note = note


@dataclass
class _Found:
    texts: list[str] = field(default_factory=list)
    note: str = ""


def answer(content: bytes) -> dict[str, Any]:
    """Return `{verdict, pages, texts, note}` as `domain.verdicts.reading` takes it; only MemoryError escapes."""
    try:
        document = opened(content)
        pages = page_list(document)
        weigh.check(pages, document.root_object)
        found = _texts(pages)
        verdict = Verdict.SIGNED if _signed(document) else Verdict.OK if any(found.texts) else Verdict.NO_TEXT
    except Stop as stop:
        return _answer(stop.verdict, note=stop.note)
    except weigh.TooHeavy as heavy:
        return _answer(Verdict.HOSTILE if heavy.bomb else Verdict.LIMIT, note=str(heavy))
    except LimitReachedError as error:
        return _answer(Verdict.LIMIT, note=str(error))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - the library fails in every way there is, RecursionError included
        return _answer(Verdict.MALFORMED, note=f"{type(error).__name__}: {error}")
    return _answer(verdict, pages=len(pages), texts=found.texts, note=found.note)


def _answer(verdict: Verdict, *, pages: int = 0, texts: list[str] | None = None, note: str = "") -> dict[str, Any]:
    return {"verdict": verdict.value, "pages": pages, "texts": texts or [], "note": note[:200]}


def opened(content: bytes) -> pypdf.PdfReader:
    """Open with our limits, trying the empty password; raise `Stop` when it is no PDF or needs a password."""
    overwrite_configuration(**LIMITS)
    if not starts_like_pdf(content):
        raise Stop(Verdict.MALFORMED, "no PDF header")
    document = pypdf.PdfReader(io.BytesIO(content), strict=False)
    if document.is_encrypted and not _unlocked(document):
        raise Stop(Verdict.ENCRYPTED)
    return document


def _unlocked(document: pypdf.PdfReader) -> bool:
    try:
        return bool(document.decrypt(""))
    except NotImplementedError:  # a handler that only its vendor knows
        return False


def page_list(document: pypdf.PdfReader) -> list[pypdf.PageObject]:
    """Return the pages, counted before the library unfolds them; raise `Stop`."""
    if _count(document.root_object.get("/Pages")) > MAX_PAGES:
        raise Stop(Verdict.TOO_MANY_PAGES)
    pages = list(document.pages)
    if not pages:
        raise Stop(Verdict.MALFORMED, "no pages")
    if len(pages) > MAX_PAGES:
        raise Stop(Verdict.TOO_MANY_PAGES)
    return pages


def _count(root: Any) -> int:
    """Count leaves of the page tree up to one more than allowed, never trusting /Count."""
    waiting, leaves, nodes, branches = [root], 0, 0, set()
    while waiting:
        entry = waiting.pop()
        node = entry.get_object() if entry is not None else None
        nodes += 1
        if nodes > MAX_TREE_NODES or leaves > MAX_PAGES:
            return MAX_PAGES + 1
        kids = node.get("/Kids") if isinstance(node, DictionaryObject) else None
        kids = kids.get_object() if kids is not None else None
        if isinstance(kids, ArrayObject):
            if id(kids) in branches:
                raise Stop(Verdict.MALFORMED, "the page tree runs in a circle")
            branches.add(id(kids))
            if len(kids) > MAX_TREE_NODES:
                return MAX_PAGES + 1
            waiting.extend(list.__iter__(kids))
        elif isinstance(node, DictionaryObject):
            leaves += 1
    return leaves


def _texts(pages: list[pypdf.PageObject]) -> _Found:
    found, left, started = _Found(), MAX_TEXT, time.process_time()
    for page in pages:
        late = time.process_time() - started > TEXT_SECONDS
        text = "" if late or left <= 0 else _text(page)[: min(MAX_PAGE_TEXT, left)].strip()
        left -= len(text)
        found.texts.append(text)
        if (late or left <= 0) and not found.note:
            found.note = f"text kept of the first {len(found.texts)} pages only"
    return found


def _text(page: pypdf.PageObject) -> str:
    try:
        return page.extract_text()
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a page whose text cannot be had is a page without text
        return ""


def _signed(document: pypdf.PdfReader) -> bool:
    form = _dictionary(document.root_object, "/AcroForm")
    if form is None:
        return False
    waiting = [form.get("/Fields")]
    for _ in range(MAX_FIELDS):
        if not waiting:
            return False
        entry = waiting.pop()
        value = entry.get_object() if entry is not None else None
        if isinstance(value, ArrayObject):
            waiting.extend(list.__iter__(value))
        elif isinstance(value, DictionaryObject):
            if value.get("/FT") == "/Sig" and "/V" in value:
                return True
            waiting.append(value.get("/Kids"))
    return False


def _dictionary(parent: DictionaryObject, name: str) -> DictionaryObject | None:
    value = parent.get(name)
    value = value.get_object() if value is not None else None
    return value if isinstance(value, DictionaryObject) else None
