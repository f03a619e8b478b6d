"""Checking a marked copy, inside a child that has never seen the original: every page shows the mark, last, unhindered.

The whole content of each page is compared with what `layout` says it must be, so no balance has to be guessed: the old
page is one form, the mark follows at its place, and both belong to our own instructions. Rendering confirms in
the tests that such a page shows ink; pdfium is not part of the product.
"""

import io
import re
from typing import Any, Final

import pypdf
from pypdf._configuration import overwrite_configuration
from pypdf.generic import ArrayObject, DictionaryObject, IndirectObject, StreamObject

from due_diligence.pdf import carried, layout, reader, stamp
from due_diligence.pdf.layout import Mark

_CATALOGUE: Final = {"/Type", "/Pages", "/OCProperties"}
_PAGE: Final = {"/Type", "/Parent", "/MediaBox", "/Rotate", "/Contents", "/Resources", "/UserUnit"}
_ACTIONS: Final = frozenset(
    [
        "/JavaScript",
        "/Launch",
        "/SubmitForm",
        "/ImportData",
        "/GoToR",
        "/GoToE",
        "/URI",
        "/Rendition",
        "/RichMediaExecute",
        "/Movie",
        "/Sound",
    ]
)
_TYPES: Final = frozenset(["/Filespec", "/EmbeddedFile", "/Action", "/Annot", "/ObjStm"])
_KEYS: Final = frozenset(["/OpenAction", "/EmbeddedFiles", "/JavaScript", "/XFA", "/AcroForm", "/RichMediaContent"])


_TAIL: Final = re.compile(
    rb"trailer\n<< /Size (?P<size>[0-9]{1,9}) /Root [0-9]{1,9} 0 R >>\nstartxref\n(?P<start>[0-9]{1,12})\n%%EOF\n\Z"
)


class Faulty(Exception):
    """The copy is not what it must be."""


def answer(content: bytes, document: bytes) -> dict[str, Any]:
    """Return `{pages, fault}`, an empty fault when every page of the copy is marked and nothing active is in it."""
    try:
        pages = _check(content, Mark.of(document))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - what cannot be checked is not given out
        return {"pages": 0, "fault": f"{type(error).__name__}: {error}"[:200]}
    return {"pages": pages, "fault": ""}


def _require(holds: bool, fault: str) -> None:  # noqa: FBT001 - private, reads as a sentence
    if not holds:
        raise Faulty(fault)


def _check(content: bytes, mark: Mark) -> int:
    overwrite_configuration(**reader.LIMITS)
    _require(_single_revision(content), "more than one revision")
    copy = pypdf.PdfReader(io.BytesIO(content), strict=True)
    _require(not copy.is_encrypted and set(copy.trailer) == {"/Size", "/Root"}, "trailer")
    _require(set(copy.root_object) <= _CATALOGUE, "catalogue")
    marks = set()
    for page in copy.pages:
        marks.add(_page(page))
    _require(len(marks) == 1, "pages do not share one mark")
    _mark(copy, marks.pop(), mark)
    _inert(copy)
    return len(copy.pages)


def _single_revision(content: bytes) -> bool:
    """Whether the file is header, objects, one table and trailer, as the stamp writes it, with not a byte more."""
    found = _TAIL.search(content, max(0, len(content) - 200))
    if found is None or not content.startswith(stamp.HEADER):
        return False
    size, start = int(found["size"]), int(found["start"])
    head = b"xref\n0 %d\n0000000000 65535 f \n" % size
    entries = content[start + len(head) : found.start()]
    if content[start : start + len(head)] != head or len(entries) != 20 * (size - 1):
        return False
    places = [int(entries[position : position + 10]) for position in range(0, len(entries), 20)]
    named = all(content.startswith(b"%d 0 obj\n" % number, place) for number, place in enumerate(places, start=1))
    return named and places[0] == len(stamp.HEADER) and places == sorted(places)


def _page(page: pypdf.PageObject) -> int:
    """Check one page; return the number of its mark."""
    _require(set(page) <= _PAGE, "page entries")
    box = carried.box(page["/MediaBox"])
    _require(box is not None, "page box")
    contents = page["/Contents"]
    expected = layout.page_content(box or carried.LETTER, carried.rotation(page))
    _require(isinstance(contents, StreamObject) and contents.get_data() == expected, "page content")
    resources = page["/Resources"]
    _require(isinstance(resources, DictionaryObject) and set(resources) == {"/XObject"}, "resources")
    forms = resources["/XObject"]  # type: ignore[index]  # a PDF dictionary by its key
    _require(set(forms) == {"/Content", "/Mark"}, "forms")
    old = forms["/Content"]
    _require(isinstance(old, StreamObject) and old.get("/Subtype") == "/Form", "old page")
    reference = forms.raw_get("/Mark")
    _require(isinstance(reference, IndirectObject), "mark")
    return int(reference.idnum)


def _mark(copy: pypdf.PdfReader, number: int, mark: Mark) -> None:
    """Check that the shared mark is the one that was drawn for this reader, unhidden."""
    sheet = copy.get_object(number)
    _require(isinstance(sheet, StreamObject) and sheet.get_data() == mark.sheet, "sheet")
    assert isinstance(sheet, StreamObject)
    _require(not {"/OC", "/Group", "/Matrix"} & set(sheet), "sheet entries")
    _require(carried.box(sheet["/BBox"]) == (0.0, 0.0, layout.SHEET, layout.SHEET), "sheet box")
    run = sheet["/Resources"]["/XObject"]["/Run"]  # type: ignore[index]  # a PDF dictionary by its key
    _require(isinstance(run, StreamObject) and run.get_data() == mark.run, "run")
    _require(not {"/OC", "/Group", "/Matrix"} & set(run), "run entries")


def _inert(copy: pypdf.PdfReader) -> None:
    """Look through every object for anything that acts or is attached."""
    size = copy.trailer["/Size"]
    assert isinstance(size, int)
    for number in range(1, size):
        waiting: list[Any] = [copy.get_object(number)]
        while waiting:
            value = waiting.pop()
            if isinstance(value, ArrayObject):
                waiting.extend(list.__iter__(value))
            elif isinstance(value, DictionaryObject):
                _require(not _KEYS & set(value), f"active entry in object {number}")
                _require(str(value.get("/S")) not in _ACTIONS, f"action in object {number}")
                _require(str(value.get("/Type")) not in _TYPES, f"foreign object {number}")
                waiting.extend(dict.values(value))
