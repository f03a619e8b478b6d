"""The demonstration's papers: small PDF files of a valuer and of a data room, with Chinese text."""

import io

from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas


def paper(title: str, paragraphs: list[str], *, pages: int = 1) -> bytes:
    """Return a PDF of `pages` pages with a title and lines of text, the same bytes for the same words."""
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1)
    canvas.setTitle(title)
    for number in range(1, pages + 1):
        canvas.setFont("STSong-Light", 18)
        canvas.drawString(72, 770, title)
        canvas.setFont("STSong-Light", 11)
        for row, text in enumerate(paragraphs):
            canvas.drawString(72, 730 - 20 * row, text)
        canvas.drawString(72, 60, f"第 {number} 页 / 共 {pages} 页")
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()
