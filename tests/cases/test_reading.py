import io
import zipfile

import pytest
import xlsxwriter

from marketplace.cases import reading, workbook
from marketplace.cases.domain.mapping import ColumnMapping, Encoding
from marketplace.errors import Failure

PLAIN = ColumnMapping()


def _rows(content, mapping=PLAIN):
    return reading.read(content, mapping).rows.rows()


def _book(fill, **options):
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, options) as book:
        fill(book)
    return content.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_encodings_and_separators(encoding, separator):
    text = f"合同编号{separator}借款人\r\nA1{separator}张伟\r\n"
    table = reading.read(text.encode(encoding), PLAIN)
    assert table.header == ("合同编号", "借款人")
    assert table.rows.rows() == [(2, "A1", "张伟")]


def test_latin_1_needs_to_be_named():
    content = "name,city\nJos\xe9,K\xf6ln\xff\n".encode("latin-1")
    with pytest.raises(reading.TapeUnreadable, match="neither UTF-8 nor GB18030"):
        reading.read(content, PLAIN)
    assert _rows(content, ColumnMapping(encoding=Encoding.LATIN_1)) == [(2, "José", "Köln\xff")]


def test_quotes_line_breaks_blank_rows_and_numbers():
    content = b'a,b\n1,"x\ny, ""z"""\n\n,\n2,3\n4\n'
    assert _rows(content) == [(2, "1", 'x\ny, "z"'), (5, "2", "3"), (6, "4", None)]


def test_a_row_with_too_many_cells_is_named_and_the_others_are_read():
    table = reading.read(b"a,b\n1,2\n1,2,3\n3,4,,\n5,6\n", PLAIN)
    assert table.ragged == (3,)
    assert table.rows.rows() == [(2, "1", "2"), (4, "3", "4"), (5, "5", "6")]


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (b"", "tape_unreadable", "empty"),
        (b"\xef\xbb\xbf\r\n \n", "tape_unreadable", "empty"),
        (b"\x00" * 100, "tape_unreadable", "empty"),
        (b"a,b\n", "tape_unreadable", "nothing below"),
        (b"a,b\n\n,\n", "tape_unreadable", "nothing below"),
        (b",,\n1,2,3\n", "tape_unreadable", "blank"),
        (b"%PDF-1.7 ...", "tape_unreadable", "PDF"),
        (b"\xd0\xcf\x11\xe0 old xls", "tape_unreadable", "XLS"),
        (b"PK\x03\x04 no zip at all", "tape_unreadable", "damaged"),
        (b"a\x01b,c\n1,2\n", "tape_unreadable", "control"),
        (",".join(f"c{i}" for i in range(10_000)).encode() + b"\n1\n", "tape_too_large", "columns"),
        (b"x" * 70_000 + b",b\n1,2\n", "tape_too_large", "header"),
        (b'a,b\n1,"never closed\n' + b"2,3\n" * 60_000, "tape_unreadable", "quotation"),
        (bytes(range(128, 256)) * 3 + b"\n1\n", "tape_unreadable", "GB18030"),
    ],
)
def test_files_that_are_no_tape(content, code, says):
    with pytest.raises(Failure, match=says) as caught:
        reading.read(content, PLAIN)
    assert caught.value.code == code


def test_more_rows_than_allowed(monkeypatch):
    monkeypatch.setattr(reading, "MAX_ROWS", 10)
    assert len(_rows(b"a\n" + b"1\n" * 10)) == 10
    with pytest.raises(reading.TapeTooLarge, match="rows"):
        reading.read(b"a\n" + b"1\n" * 11, PLAIN)
    with pytest.raises(reading.TapeTooLarge, match="rows"):
        reading.read(b"a,b\n1,2,3\n" + b"1,2\n" * 20, PLAIN)


def test_more_bytes_than_allowed(monkeypatch):
    monkeypatch.setattr(reading, "MAX_BYTES", 10)
    with pytest.raises(reading.TapeTooLarge, match="bytes"):
        reading.read(b"a\n" + b"1\n" * 10, PLAIN)


def test_a_workbook_is_read_like_the_same_csv():
    import datetime as dt

    def fill(book):
        sheet = book.add_worksheet("资产清单")
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        sheet.write_row(0, 0, ["合同编号", "金额", "日期", "是否"])
        sheet.write_row(1, 0, ["A1", 1234.5])
        sheet.write_datetime(1, 2, dt.date(2024, 1, 5), day)
        sheet.write_boolean(1, 3, True)
        sheet.write(3, 0, 110101199003070000)
        sheet.write(3, 1, 12)
        sheet.write_formula(4, 0, "=1/0", "", "#DIV/0!")
        sheet.write_formula(4, 1, "=SUM(B2:B4)", "", 7)
        sheet.write(5, 0, "a\nb")

    table = reading.read(_book(fill), PLAIN)
    assert table.header == ("合同编号", "金额", "日期", "是否")
    assert table.rows.rows() == [
        (2, "A1", "1234.5", "2024-01-05", "true"),
        (4, "1.1010119900307e+17", "12", None, None),
        (5, "#ERROR", "=FORMULA", None, None),
        (6, "a\nb", None, None, None),
    ]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.1 + 0.2, "0.3"),
        (3955.380000000001, "3955.38"),
        (1234.565, "1234.565"),
        (1e15 - 1, "999999999999999"),
        (1e15, "1e+15"),
        (0.00001, "0.00001"),
        (-5.0, "-5"),
        (123456789012.34, "123456789012.34"),
    ],
)
def test_a_number_cell_counts_to_15_digits(number, text):
    assert workbook.cell_text(number) == text


def test_the_sheet_asked_for_or_the_first_visible_one():
    def fill(book):
        for name in ("hidden", "first", "second"):
            sheet = book.add_worksheet(name)
            sheet.write_column(0, 0, ["h", name])
        book.get_worksheet_by_name("first").activate()
        book.get_worksheet_by_name("hidden").hide()

    content = _book(fill)
    assert _rows(content) == [(2, "first")]
    assert _rows(content, ColumnMapping(sheet="second")) == [(2, "second")]
    with pytest.raises(reading.TapeUnreadable, match="no sheet 'third'"):
        reading.read(content, ColumnMapping(sheet="third"))


def _zip(parts, declared=None):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return content.getvalue()


def test_a_zip_that_is_no_workbook():
    with pytest.raises(reading.TapeUnreadable, match="no XLSX workbook"):
        reading.read(_zip({"tape.csv": "a,b\n1,2\n"}), PLAIN)


def _sheet_parts(sheet: str) -> dict[str, str]:
    content = _book(lambda book: book.add_worksheet("a"))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    return parts | {"xl/worksheets/sheet1.xml": sheet}


SHEET = (
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{}</sheetData></worksheet>'
)


def test_a_sheet_of_astronomic_extent_is_refused():
    cells = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    with pytest.raises(reading.TapeUnreadable, match="16384 columns"):
        reading.read(_zip(_sheet_parts(SHEET.format(cells))), PLAIN)


@pytest.mark.slow
def test_a_bomb_is_refused_by_what_comes_out_not_by_what_it_says(monkeypatch, tmp_path):
    monkeypatch.setattr(workbook, "MAX_UNPACKED", 10 * 1024 * 1024)
    bomb = _zip(_sheet_parts(SHEET.format(" " * (11 * 1024 * 1024))))
    assert len(bomb) < 30_000
    with pytest.raises(workbook.BadWorkbook, match="unpacks to more"):
        workbook.convert(bomb, tmp_path / "sheet.csv", "")
    lying = bytearray(bomb)
    with zipfile.ZipFile(io.BytesIO(bomb)) as archive:
        size = archive.getinfo("xl/worksheets/sheet1.xml").file_size.to_bytes(4, "little")
    while (at := lying.find(size)) >= 0:
        lying[at : at + 4] = (1000).to_bytes(4, "little")
    with pytest.raises(workbook.BadWorkbook, match="unpacks to more"):
        workbook.convert(bytes(lying), tmp_path / "sheet.csv", "")


def test_entities_are_not_expanded():
    parts = _sheet_parts(SHEET.format(""))
    parts["xl/workbook.xml"] = '<!DOCTYPE a [<!ENTITY b "bbbb">]>' + parts["xl/workbook.xml"].split("?>", 1)[1]
    with pytest.raises(reading.TapeUnreadable, match="missing or damaged"):
        reading.read(_zip(parts), PLAIN)


def test_a_truncated_workbook_is_damaged():
    content = _book(lambda book: book.add_worksheet("a").write_row(0, 0, ["x"]))
    for cut in (100, len(content) // 2, len(content) - 10):
        with pytest.raises(reading.TapeUnreadable, match="damaged"):
            reading.read(content[:cut], PLAIN)
