"""Drawing the mark, in the parent: our own text as glyph outlines.

Any reader shows any name that way, and no text search finds it. The outlines come from the vendored Noto Sans SC; a
character that it lacks is written as its code point, so that two names never look the same.
"""

import functools
import math
import threading
from typing import Any, Final

from fontTools.pens.basePen import BasePen  # type: ignore[import-untyped]  # no stubs exist
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]  # no stubs exist

from due_diligence.pdf.layout import SHEET, Mark, number
from marketplace import fonts

SIZE: Final = 11.0
"""Size of the letters in points on an A4 page."""
LEADING: Final = 14.0
LONGEST: Final = 520.0
"""Longer lines are made smaller to fit, in points."""
GAP: Final = 46.0
ROW: Final = 92.0
"""Distance of rows; with the slope, every 99 × 140 points of A4 (a 6 × 6 grid) are crossed."""
SLOPE: Final = 30.0
COLOUR: Final = "0.72 0.1 0.12"
"""A colour, so that it differs from every grey; `layout.OPACITY` keeps the page readable."""


class _Pen(BasePen):  # type: ignore[misc]  # its library has no types
    """Writes an outline as path operators, shifted and scaled."""

    def __init__(self, glyphs: Any, x: float, y: float, scale: float) -> None:
        super().__init__(glyphs)
        self.parts: list[str] = []
        self._x, self._y, self._scale = x, y, scale

    def _point(self, point: tuple[float, float]) -> str:
        return f"{self._x + point[0] * self._scale:.2f} {self._y + point[1] * self._scale:.2f}"

    def _moveTo(self, pt: tuple[float, float]) -> None:  # noqa: N802 - the library's name
        self.parts.append(f"{self._point(pt)} m")

    def _lineTo(self, pt: tuple[float, float]) -> None:  # noqa: N802 - the library's name
        self.parts.append(f"{self._point(pt)} l")

    def _curveToOne(self, pt1: Any, pt2: Any, pt3: Any) -> None:  # noqa: N802 - the library's name
        self.parts.append(f"{self._point(pt1)} {self._point(pt2)} {self._point(pt3)} c")

    def _closePath(self) -> None:  # noqa: N802 - the library's name
        self.parts.append("h")


_lock = threading.Lock()  # the font is read lazily, which is not safe in threads


@functools.cache
def _font() -> tuple[Any, dict[int, str], float]:
    font = TTFont(fonts.path())
    return font.getGlyphSet(), font.getBestCmap(), SIZE / font["head"].unitsPerEm


def draw(*lines: str) -> Mark:
    """Return the mark that shows these lines. Each is drawn whole; none may be empty."""
    with _lock:
        drawn = [_line(_legible(line), -LEADING * row) for row, line in enumerate(lines)]
    longest = max(width for _, width in drawn)
    shrink = min(1.0, LONGEST / longest)
    height = LEADING * len(lines)
    run = "\n".join(
        [f"{number(shrink)} 0 0 {number(shrink)} 0 {number(height - LEADING)} cm", *(path for path, _ in drawn)]
    )
    width = longest * shrink
    return Mark((run + "\n").encode(), _sheet(width).encode(), round(width + 2, 2), round(height + SIZE, 2))


def _legible(line: str) -> str:
    _, known, _ = _font()
    return "".join(char if ord(char) in known else f"[U+{ord(char):04X}]" for char in line)


def _line(line: str, y: float) -> tuple[str, float]:
    glyphs, known, scale = _font()
    x, paths = 0.0, []
    for char in line:
        glyph = glyphs[known[ord(char)]]
        pen = _Pen(glyphs, x, y, scale)
        glyph.draw(pen)
        if pen.parts:
            paths.append("\n".join(pen.parts) + "\nf")
        x += glyph.width * scale
    return "\n".join(paths), x


def _sheet(width: float) -> str:
    """Lay runs in sloping rows over the square, every other row shifted by half a run."""
    cos, sin = math.cos(math.radians(SLOPE)), math.sin(math.radians(SLOPE))
    reach, step = SHEET / math.sqrt(2), width + GAP
    rows, columns = math.ceil(reach / ROW), math.ceil(reach / step) + 1
    lines = ["/Faint gs", f"{COLOUR} rg"]
    for row in range(-rows, rows + 1):
        for column in range(-columns, columns + 1):
            along, across = (column + row % 2 / 2) * step - width / 2, row * ROW
            x, y = SHEET / 2 + along * cos - across * sin, SHEET / 2 + along * sin + across * cos
            if math.hypot(x + width / 2 * cos - SHEET / 2, y + width / 2 * sin - SHEET / 2) > reach + step / 2:
                continue
            lines.append("q " + " ".join(map(number, (cos, sin, -sin, cos, x, y))) + " cm /Run Do Q")
    return "\n".join(lines) + "\n"
