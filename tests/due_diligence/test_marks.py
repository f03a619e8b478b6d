"""Marked copies, rendered: ink on every part of every page, whatever the page does, and nothing else changed."""

import io
import itertools
import uuid
from datetime import UTC, datetime

import numpy as np
import pypdf
import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf.generic import DictionaryObject, NameObject, NullObject, StreamObject

from due_diligence.domain import copies
from due_diligence.pdf import layout, mark, stamp, verify
from tests.due_diligence.papers import page_pdf, raw_pdf, stream, text_pdf

LINES = ("华信资产管理有限公司 · 张伟喆", "2026-03-02 09:00:00 UTC · 副本 Copy 7K3M-9Q2X-4T")
NOTHING = layout.Mark(b"", b"", 1.0, 1.0)

PAGES = {
    "plain": page_pdf(b"BT /F 20 Tf 90 700 Td (Text) Tj ET"),
    "open q": page_pdf(b"q 0 0 1 1 re W n q q 0.001 0 0 0.001 0 0 cm q"),
    "extra Q": page_pdf(b"Q Q Q Q 0 0 1 1 re W n 0 0 0 0 0 0 cm"),
    "far scale": page_pdf(b"1000 0 0 1000 5000 5000 cm 0 0 1 1 re f"),
    "black": page_pdf(b"0 g 0 0 595 842 re f"),
    "grey": page_pdf(b"0.5 g 0 0 595 842 re f"),
    "unclosed text": page_pdf(b"BT /F 20 Tf 3 Tr 90 700 Td (Text) Tj"),
    "shifted box": page_pdf(b"", page=b"/MediaBox [1000 2000 1595 2842]"),
    "turned": page_pdf(b"", page=b"/MediaBox [0 0 595 842] /Rotate 90"),
    "turned back": page_pdf(b"", page=b"/MediaBox [0 0 595 842] /Rotate -90"),
    "upside down": page_pdf(b"", page=b"/MediaBox [595 842 0 0] /Rotate 180"),
    "cropped": page_pdf(b"", page=b"/MediaBox [0 0 595 842] /CropBox [300 400 500 700]"),
    "A0 plan": page_pdf(b"", page=b"/MediaBox [0 0 2384 3370]"),
    "landscape A3": page_pdf(b"", page=b"/MediaBox [0 0 1191 842]"),
    "tiny": page_pdf(b"", page=b"/MediaBox [0 0 20 28]"),
    "strip": page_pdf(b"", page=b"/MediaBox [0 0 4000 200]"),
    "no box": page_pdf(b"", page=b""),
    "covered": raw_pdf(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R >>",
            2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents [4 0 R 4 0 R] /Annots [5 0 R] >>",
            4: stream(b"q"),
            5: b"<< /Type /Annot /Subtype /Stamp /Rect [0 0 595 842] /F 4 /AP << /N 6 0 R >> >>",
            6: stream(b"1 1 0 rg 0 0 10 10 re f", b"/Type /XObject /Subtype /Form /BBox [0 0 10 10]"),
        }
    ),
}


def _stamped(content: bytes, drawn: layout.Mark) -> bytes:
    target = io.BytesIO()
    answer = stamp.stamp(content, drawn.document(), target)
    assert answer["fault"] == "", answer
    return target.getvalue()


def _rendered(content: bytes, page: int = 0) -> np.ndarray:
    document = pypdfium2.PdfDocument(content)
    document.init_forms()
    shown = document[page]
    width, height = shown.get_size()
    return shown.render(scale=(500_000 / (width * height)) ** 0.5).to_numpy()[:, :, :3].astype(int)


def _inked(plain: np.ndarray, marked: np.ndarray) -> int:
    """Count the cells of a 6 × 6 grid in which the two pages differ visibly."""
    changed = np.abs(plain - marked).max(axis=2) > 12
    height, width = changed.shape
    return sum(
        bool(changed[height * y // 6 : height * (y + 1) // 6, width * x // 6 : width * (x + 1) // 6].any())
        for y, x in itertools.product(range(6), repeat=2)
    )


@pytest.mark.parametrize("content", PAGES.values(), ids=PAGES.keys())
def test_the_mark_is_seen_on_every_part_of_the_page(content):
    drawn = mark.draw(*LINES)
    copy = _stamped(content, drawn)
    assert verify.answer(copy, drawn.document()) == {"pages": 1, "fault": ""}
    plain, marked = _rendered(content), _rendered(copy)
    assert plain.shape == marked.shape
    assert _inked(plain, marked) >= 33, "at least 90 % of 36 cells"


@pytest.mark.parametrize("content", PAGES.values(), ids=PAGES.keys())
def test_without_the_mark_the_page_is_as_it_was(content):
    plain, copied = _rendered(content), _rendered(_stamped(content, NOTHING))
    assert (np.abs(plain - copied).max(axis=2) > 24).mean() < 0.002


def test_the_check_by_rendering_can_fail():
    content = PAGES["plain"]
    assert _inked(_rendered(content), _rendered(_stamped(content, NOTHING))) == 0


def test_every_page_has_it_and_shares_it():
    drawn = mark.draw(*LINES)
    content = text_pdf(pages=60)
    copy = _stamped(content, drawn)
    assert verify.answer(copy, drawn.document())["pages"] == 60
    assert len(copy) < len(content) + 60 * 2_000 + 60_000
    for page in (0, 31, 59):
        assert _inked(_rendered(content, page), _rendered(copy, page)) >= 33


def test_names_are_drawn_and_not_text():
    one, other = (mark.draw(f"{name} 资产", "x") for name in ("张伟", "张玮"))
    assert one.run != other.run
    rare = mark.draw("𠮷", "x")
    assert rare.run == mark.draw("[U+20BB7]", "x").run, "what the font lacks is named, never a question mark"
    copy = pypdf.PdfReader(io.BytesIO(_stamped(text_pdf(pages=1), mark.draw(*LINES))))
    assert "华信" not in copy.pages[0].extract_text()
    assert "借款合同" in copy.pages[0].extract_text()


def _without(copy, page):
    page["/Contents"] = copy.add(_content(b"q\n/Content Do\nQ\n"))


def _covered(copy, page):
    whole = layout.page_content((0.0, 0.0, 595.2756, 841.8898), 0)
    page["/Contents"] = copy.add(_content(whole + b"1 g 0 0 9999 9999 re f\n"))


def _content(data: bytes) -> StreamObject:
    content = StreamObject()
    content.set_data(data)
    return content


def _own_mark(copy, page):
    page["/Resources"]["/XObject"][NameObject("/Mark")] = copy.add(stamp.form((0.0, 0.0, 1.0, 1.0), b""))


def _active(copy, page):
    page["/AA"] = DictionaryObject({NameObject("/O"): NullObject()})


def _attached(copy, page):
    script = DictionaryObject({NameObject("/S"): NameObject("/JavaScript")})
    form = copy.add(stamp.form((0.0, 0.0, 1.0, 1.0), b"", X=script))
    page["/Resources"]["/XObject"][NameObject("/Content")] = form


@pytest.mark.parametrize(
    ("deed", "fault"),
    [
        (_without, "page content"),
        (_covered, "page content"),
        (_own_mark, "share one mark"),
        (_active, "page entries"),
        (_attached, "action"),
    ],
)
def test_the_structural_check_notices(deed, fault, monkeypatch):
    make, count = stamp._page, itertools.count()

    def tampered(copy, *rest):
        page = make(copy, *rest)
        if next(count) == 1:
            changed = {str(name): value for name, value in dict.items(page)}
            deed(copy, changed)
            page = DictionaryObject({NameObject(name): value for name, value in changed.items()})
        return page

    drawn = mark.draw(*LINES)
    monkeypatch.setattr(stamp, "_page", tampered)
    copy = _stamped(text_pdf(pages=3), drawn)
    assert fault in verify.answer(copy, drawn.document())["fault"]


def test_a_hidden_mark_is_noticed(monkeypatch):
    drawn, make = mark.draw(*LINES), stamp.mark_form

    def hidden(copy, drawn):
        reference = make(copy, drawn)
        copy.objects[reference.idnum][NameObject("/OC")] = DictionaryObject()
        return reference

    monkeypatch.setattr(stamp, "mark_form", hidden)
    assert "sheet entries" in verify.answer(_stamped(text_pdf(), drawn), drawn.document())["fault"]


def test_a_mark_for_somebody_else_is_noticed():
    copy = _stamped(text_pdf(), mark.draw(*LINES))
    assert verify.answer(copy, mark.draw("别人", "x").document())["fault"] != ""


def test_an_appended_revision_is_noticed():
    drawn = mark.draw(*LINES)
    copy = _stamped(text_pdf(), drawn)
    for more in (copy[9:], b"\n", b"x"):
        assert "revision" in verify.answer(copy + more, drawn.document())["fault"]
    assert "revision" in verify.answer(copy[:15] + b"1 0 obj null endobj\n" + copy[15:], drawn.document())["fault"]


@given(
    box=st.tuples(st.floats(-5000, 5000), st.floats(-5000, 5000), st.floats(3, 14_000), st.floats(3, 14_000)),
    rotation=st.sampled_from([0, 90, 180, 270]),
)
def test_the_sheets_cover_every_box(box, rotation):
    left, bottom, width, height = box
    shape = (left, bottom, left + width, bottom + height)
    try:
        sheets = layout._sheets(shape, rotation)
    except layout.ShapeRefused:
        assert max(width / height, height / width) > 100
        return
    for x, y in itertools.product(
        *(np.linspace(low, low + side, 7) for low, side in ((left, width), (bottom, height)))
    ):
        assert any(_inside(sheet, x, y) for sheet in sheets)


def _inside(matrix: tuple[float, ...], x: float, y: float) -> bool:
    a, b, c, d, e, f = matrix
    determinant = a * d - b * c
    u = (d * (x - e) - c * (y - f)) / determinant
    v = (a * (y - f) - b * (x - e)) / determinant
    return -1 <= u <= layout.SHEET + 1 and -1 <= v <= layout.SHEET + 1


@given(organisation=st.text(min_size=1), reader_name=st.text(min_size=1), number=st.uuids(version=4))
def test_any_name_gives_a_mark_line(organisation, reader_name, number):
    at = datetime(2026, 3, 2, tzinfo=UTC)
    lines = copies.mark_lines(organisation=organisation, reader=reader_name, at=at, number=copies.copy_number(number))
    assert all(line.strip() for line in lines)
    assert all(len(line) <= 130 for line in lines)
    assert mark.draw(*lines).width <= mark.LONGEST + 3


def test_copy_numbers_are_short_and_differ():
    numbers = {copies.copy_number(uuid.UUID(int=i)) for i in range(1000)}
    assert len(numbers) == 1000
    assert all(len(number) == 12 for number in numbers)
