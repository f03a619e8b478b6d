"""Making a marked copy, inside the child: a new document whose every page draws the old page, then the mark.

The old page becomes a form, so that whatever its instructions do to the graphics state ends with it: a mark drawn after
an open `q`, an extra `Q` or an open clip would not be seen. The mark is one object that all pages share.
"""

import zlib
from typing import IO, Any, Final

import pypdf
from pypdf.generic import (
    ArrayObject,
    DictionaryObject,
    FloatObject,
    IndirectObject,
    NameObject,
    NumberObject,
    PdfObject,
    StreamObject,
)

from due_diligence.pdf import carried, layout, reader
from due_diligence.pdf.layout import OPACITY, Mark

HEADER: Final = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
MAX_NESTING: Final = 100
"""Direct arrays and dictionaries inside each other."""


class Nested(Exception):
    """The file nests deeper than any honest one."""


class Copy:
    """A document being written: objects by number, and which of them stands for which object of the original."""

    def __init__(self) -> None:
        self.objects: list[PdfObject | None] = [DictionaryObject()]
        self._copies: dict[int, IndirectObject] = {}
        self._waiting: list[tuple[int, Any]] = []

    def add(self, value: PdfObject | None) -> IndirectObject:
        """Add an object and return a reference to it; None reserves the number."""
        self.objects.append(value)
        return IndirectObject(len(self.objects) - 1, 0, None)

    def carry(self, value: Any, depth: int = 0) -> Any:
        """Return the copy of a value of the original; objects referred to are copied once, later (`settle`)."""
        if depth > MAX_NESTING:
            raise Nested
        if isinstance(value, IndirectObject):
            known = self._copies.get(value.idnum)
            if known is None:
                known = self._copies[value.idnum] = self.add(None)
                self._waiting.append((known.idnum, value))
            return known
        if isinstance(value, StreamObject):
            return self.add(self._stream(value, depth))
        if isinstance(value, DictionaryObject):
            return _dictionary({name: self.carry(inner, depth + 1) for name, inner in carried.entries(value)})
        if isinstance(value, ArrayObject):
            return ArrayObject([self.carry(inner, depth + 1) for inner in list.__iter__(value)])
        return value

    def _stream(self, value: StreamObject, depth: int = 0) -> StreamObject:
        stream = StreamObject()
        stream._data = value._data  # noqa: SLF001 - packed as it was; the library hands out unpacked bytes only
        for name, inner in carried.entries(value):
            stream[NameObject(name)] = self.carry(inner, depth + 1)
        return stream

    def settle(self) -> None:
        """Copy what is referred to, until nothing is left."""
        while self._waiting:
            number, reference = self._waiting.pop()
            source = reference.get_object()
            if isinstance(source, StreamObject):
                self.objects[number] = self._stream(source)
            else:
                self.objects[number] = self.carry(source)

    def write(self, target: IO[bytes], root: IndirectObject) -> None:
        """Write the file: objects, table, trailer; one revision, no information dictionary."""
        target.write(HEADER)
        places = []
        for number, value in enumerate(self.objects[1:], start=1):
            places.append(target.tell())
            target.write(b"%d 0 obj\n" % number)
            (value if value is not None else pypdf.generic.NullObject()).write_to_stream(target)
            target.write(b"\nendobj\n")
        start = target.tell()
        target.write(b"xref\n0 %d\n0000000000 65535 f \n" % len(self.objects))
        target.writelines(b"%010d 00000 n \n" % place for place in places)
        target.write(b"trailer\n<< /Size %d /Root %d 0 R >>\n" % (len(self.objects), root.idnum))
        target.write(b"startxref\n%d\n%%%%EOF\n" % start)


def _dictionary(entries: dict[str, Any]) -> DictionaryObject:
    return DictionaryObject({NameObject(name): value for name, value in entries.items()})


def _array(values: tuple[float, ...]) -> ArrayObject:
    return ArrayObject([FloatObject(layout.number(value)) for value in values])


def form(box: tuple[float, ...], data: bytes, **resources: Any) -> StreamObject:
    """Return a form of our own making, deflated."""
    stream = StreamObject()
    stream._data = zlib.compress(data)  # noqa: SLF001 - set packed, as everything here is
    stream.update(
        _dictionary(
            {
                "/Type": NameObject("/XObject"),
                "/Subtype": NameObject("/Form"),
                "/BBox": _array(box),
                "/Filter": NameObject("/FlateDecode"),
                "/Resources": _dictionary({f"/{name}": value for name, value in resources.items()}),
            }
        )
    )
    return stream


def mark_form(copy: Copy, mark: Mark) -> IndirectObject:
    """Add the mark: one sheet that repeats one run."""
    margin = 4.0
    run = copy.add(form((-margin, -margin, mark.width + margin, mark.height + margin), mark.run))
    faint = _dictionary(
        {
            "/Type": NameObject("/ExtGState"),
            "/ca": FloatObject(OPACITY),
            "/BM": NameObject("/Normal"),
            "/SMask": NameObject("/None"),
        }
    )
    return copy.add(
        form(
            (0.0, 0.0, layout.SHEET, layout.SHEET),
            mark.sheet,
            XObject=_dictionary({"/Run": run}),
            ExtGState=_dictionary({"/Faint": faint}),
        )
    )


def stamp(content: bytes, document: bytes, target: IO[bytes]) -> dict[str, Any]:
    """Write a marked copy of `content` to `target`; return `{pages, fault}`, an empty fault when it was made."""
    try:
        original = reader.opened(content)
        pages = reader.page_list(original)
        _write(original, pages, Mark.of(document), target)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever happens, a copy that is not made is not given out
        return {"pages": 0, "fault": f"{type(error).__name__}: {error}"[:200]}
    return {"pages": len(pages), "fault": ""}


def _write(original: pypdf.PdfReader, pages: list[pypdf.PageObject], mark: Mark, target: IO[bytes]) -> None:
    copy = Copy()
    marked, tree = mark_form(copy, mark), copy.add(None)
    kids = ArrayObject([copy.add(_page(copy, page, tree, marked)) for page in pages])
    copy.objects[tree.idnum] = _dictionary(
        {"/Type": NameObject("/Pages"), "/Kids": kids, "/Count": NumberObject(len(kids))}
    )
    catalogue = _dictionary({"/Type": NameObject("/Catalog"), "/Pages": tree})
    if "/OCProperties" in original.root_object:
        catalogue[NameObject("/OCProperties")] = copy.carry(original.root_object.raw_get("/OCProperties"))
    root = copy.add(catalogue)
    copy.settle()
    copy.write(target, root)


def _page(copy: Copy, page: pypdf.PageObject, tree: IndirectObject, mark: IndirectObject) -> DictionaryObject:
    box, rotation = carried.visible(page), carried.rotation(page)
    content = StreamObject()
    content._data = layout.page_content(box, rotation)  # noqa: SLF001 - ours, unpacked
    entries: dict[str, Any] = {
        "/Type": NameObject("/Page"),
        "/Parent": tree,
        "/MediaBox": _array(box),
        "/Rotate": NumberObject(rotation),
        "/Contents": copy.add(content),
        "/Resources": _dictionary({"/XObject": _dictionary({"/Content": _old(copy, page, box), "/Mark": mark})}),
    }
    unit = carried.resolved(page, "/UserUnit")
    if isinstance(unit, (int, float)) and 0 < float(unit) <= 100_000:  # noqa: PLR2004 - a bound
        entries["/UserUnit"] = FloatObject(float(unit))
    return _dictionary(entries)


def _old(copy: Copy, page: pypdf.PageObject, box: layout.Box) -> IndirectObject:
    """Return the old page as one form: its instructions, and over them its annotations as they look now."""
    instructions = copy.add(_instructions(copy, page, box))
    drawn = list(carried.appearances(page))
    if not drawn:
        return instructions
    names: dict[str, Any] = {"/Page": instructions}
    lines = ["q", "/Page Do", "Q"]
    for position, (appearance, matrix) in enumerate(drawn):
        names[f"/A{position}"] = copy.carry(appearance)
        lines += ["q", " ".join(map(layout.number, matrix)) + " cm", f"/A{position} Do", "Q"]
    return copy.add(form(box, ("\n".join(lines) + "\n").encode(), XObject=_dictionary(names)))


def _instructions(copy: Copy, page: pypdf.PageObject, box: layout.Box) -> StreamObject:
    single = carried.resolved(page, "/Contents")
    if isinstance(single, ArrayObject) and len(single) == 1:
        single = single[0].get_object()
    if isinstance(single, StreamObject):
        stream = copy._stream(single)  # noqa: SLF001 - the same stream, packed as it was, with another dictionary
    else:
        joined = page.get_contents()
        stream = form(box, joined.get_data() if joined is not None else b"")
    stream.update(_dictionary({"/Type": NameObject("/XObject"), "/Subtype": NameObject("/Form"), "/BBox": _array(box)}))
    resources = page.raw_get("/Resources") if "/Resources" in page else DictionaryObject()
    stream[NameObject("/Resources")] = copy.carry(resources)
    if "/Group" in page:
        stream[NameObject("/Group")] = copy.carry(page.raw_get("/Group"))
    return stream
