"""The one vendored font: Noto Sans SC (OFL), a TrueType subset for everything that is printed or stamped in Chinese."""

from pathlib import Path
from typing import Final

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

NAME: Final = "NotoSansSC"


def path() -> Path:
    """Return where the font file lies: GB 2312, Latin, punctuation and common characters of names."""
    return Path(__file__).with_name("NotoSansSC-subset.ttf")


def register() -> str:
    """Make the font known to reportlab and return its name there; doing it again changes nothing."""
    if NAME not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(TTFont(NAME, str(path())))
    return NAME
