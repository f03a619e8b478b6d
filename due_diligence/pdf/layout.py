"""What a mark is and where it lies on a page, whatever its box, size and turn. Pure: stamp and check share it.

The sheet of marks is a square that covers an A4 page whichever way it is turned. It is scaled so that a page of any
area carries the same number of marks, and repeated along pages that are longer than it.
"""

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any, Final

SHEET: Final = 1_200.0
"""Side of the sheet in points: more than the diagonal of A4."""
OPACITY: Final = "0.24"
_A4: Final = 595.0 * 842.0
_MAX_SHEETS: Final = 400

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Mark:
    """The drawing instructions of a mark: `run` is one text, `sheet` repeats it over a square of `SHEET`."""

    run: bytes
    sheet: bytes
    width: float
    height: float

    def document(self) -> bytes:
        """Return it as the child takes it."""
        return json.dumps(
            {"run": self.run.decode(), "sheet": self.sheet.decode(), "width": self.width, "height": self.height}
        ).encode()

    @classmethod
    def of(cls, document: bytes) -> "Mark":
        """Read what `document` wrote."""
        value: dict[str, Any] = json.loads(document)
        return cls(value["run"].encode(), value["sheet"].encode(), value["width"], value["height"])

    @property
    def sha256(self) -> str:
        """Return the hash by which a mark is known."""
        return hashlib.sha256(self.run + b"\0" + self.sheet).hexdigest()


class ShapeRefused(Exception):
    """The page is so long and thin that no mark on it could be read."""


def number(value: float) -> str:
    """Write a number as PDF takes it: no exponent, six decimals at most, no negative zero."""
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def page_content(box: Box, rotation: int) -> bytes:
    """Return the whole content of a stamped page: the old page as one form, then the mark over all of `box`.

    `box` is what is seen of the page in points (left, bottom, right, top), `rotation` its turn in degrees clockwise.
    Raises `ShapeRefused` when it would take more than 400 sheets.
    """
    lines = ["q", "/Content Do", "Q"]
    for matrix in _sheets(box, rotation):
        lines += ["q", " ".join(map(number, matrix)) + " cm", "/Mark Do", "Q"]
    return ("\n".join(lines) + "\n").encode()


def _sheets(box: Box, rotation: int) -> list[tuple[float, ...]]:
    left, bottom, right, top = box
    width, height = right - left, top - bottom
    scale = math.sqrt(width * height / _A4)
    across, along = (math.ceil(side / (scale * SHEET)) for side in (width, height))
    if across * along > _MAX_SHEETS:
        raise ShapeRefused
    cos, sin = {0: (1.0, 0.0), 90: (0.0, 1.0), 180: (-1.0, 0.0), 270: (0.0, -1.0)}[rotation]
    centres = [
        (left + width * (2 * i + 1) / (2 * across), bottom + height * (2 * j + 1) / (2 * along))
        for i in range(across)
        for j in range(along)
    ]
    half = SHEET / 2
    return [
        (
            scale * cos,
            scale * sin,
            -scale * sin,
            scale * cos,
            x - scale * half * (cos - sin),
            y - scale * half * (sin + cos),
        )
        for x, y in centres
    ]
