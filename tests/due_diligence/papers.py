"""PDF files made for tests: honest ones, odd ones, and ones that mean harm."""

import io
import zipfile
import zlib

import pypdf
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from marketplace import fonts


def text_pdf(*, pages: int = 2, text: str = "借款合同 Loan contract", size: tuple[float, float] = A4) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=size, invariant=1)
    for number in range(1, pages + 1):
        canvas.setFont(fonts.register(), 14)
        canvas.drawString(72, size[1] - 72, f"{text} {number}")
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def raw_pdf(objects: dict[int, bytes], *, root: int = 1) -> bytes:
    """A file of these objects, as they are."""
    out, places = bytearray(b"%PDF-1.7\n"), {}
    for number, body in objects.items():
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start, size = len(out), max(objects) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n" % size
    for number in range(1, size):
        out += b"%010d 00000 n \n" % places.get(number, 0)
    out += b"trailer\n<< /Size %d /Root %d 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, root, start)
    return bytes(out)


def stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (entries, len(data), data)


def page_pdf(content: bytes, *, page: bytes = b"/MediaBox [0 0 595 842]", packed: bytes | None = None) -> bytes:
    """One page with these drawing instructions; `packed` replaces them by deflated bytes as they are."""
    body = stream(content) if packed is None else stream(packed, b"/Filter /FlateDecode")
    return raw_pdf(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R >>",
            2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            3: b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> %s >>" % page,
            4: body,
            5: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        }
    )


def bomb(size: int = 300_000_000) -> bytes:
    """A page whose instructions are blanks without end: about 300 KB that unpack to 300 MB."""
    packer = zlib.compressobj(9)
    block = b" " * 1_000_000
    packed = b"".join([packer.compress(block) for _ in range(size // len(block))]) + packer.flush()
    return page_pdf(b"", packed=packed)


def many_pages(count: int = 100_000) -> bytes:
    """A small file that says one page a hundred thousand times."""
    return raw_pdf(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R >>",
            2: b"<< /Type /Pages /Count %d /Kids [%s] >>" % (count, b"3 0 R " * count),
            3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>",
        }
    )


def encrypted(password: str = "secret") -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(text_pdf(pages=1)))
    writer.encrypt(password, algorithm="AES-256")
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def renamed_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("word/document.xml", "%PDF-1.7 not at all")
    return buffer.getvalue()


def signed() -> bytes:
    return raw_pdf(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /SigFlags 3 /Fields [5 0 R] >> >>",
            2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Annots [5 0 R] >>",
            4: stream(b"0 0 m 100 100 l S"),
            5: b"<< /FT /Sig /T (s) /V << /Type /Sig /Filter /Adobe.PPKLite /Contents <00> /ByteRange [0 1 2 3] >> >>",
        }
    )


def active() -> bytes:
    """Scripts, actions and an attachment, in every usual place."""
    return raw_pdf(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R /OpenAction << /S /JavaScript /JS (app.alert(1)) >> "
            b"/Names << /EmbeddedFiles << /Names [(x) 6 0 R] >> >> >>",
            2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
            b"/AA << /O << /S /Launch /F (cmd.exe) >> >> /Annots [5 0 R] >>",
            4: stream(b"0 0 m 100 100 l S"),
            5: b"<< /Type /Annot /Subtype /Link /Rect [0 0 595 842] /A << /S /URI /URI (http://x.invalid/) >> >>",
            6: b"<< /Type /Filespec /F (evil.exe) /EF << /F 7 0 R >> >>",
            7: stream(b"MZ evil program", b"/Type /EmbeddedFile"),
        }
    )


def hidden_bomb(size: int = 50_000_000) -> bytes:
    """A page that draws a form which unpacks to 50 MB of blanks: the page itself is small."""
    return raw_pdf(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R >>",
            2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
            b"/Resources << /XObject << /X 5 0 R >> >> >>",
            4: stream(b"/X Do"),
            5: stream(
                zlib.compress(b" " * size, 9), b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Filter /FlateDecode"
            ),
        }
    )


def circle() -> bytes:
    """A page tree that comes back to itself."""
    return raw_pdf(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R >>",
            2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            3: b"<< /Type /Pages /Kids [2 0 R] /Count 1 >>",
        }
    )


def deep(depth: int = 20_000) -> bytes:
    """Arrays inside arrays until a parser's stack ends."""
    return raw_pdf({1: b"<< /Type /Catalog /Pages 2 0 R >>", 2: b"[" * depth + b"]" * depth})
