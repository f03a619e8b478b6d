"""What of a page a copy carries, inside the child: an allow-list. The reader weighs it, the stamp copies it.

A copy is a new document: catalogue and pages are built anew, so scripts, actions, attachments, forms, links, metadata
and earlier revisions stay behind. Carried are a page's drawing instructions, their resources, the appearance of its
annotations (drawn into the page) and the visibility of layers.
"""

import math
from collections.abc import Iterator
from typing import Any, Final

import pypdf
from pypdf.generic import ArrayObject, DictionaryObject, StreamObject

_LEFT_BEHIND: Final = frozenset(
    ["/Parent", "/PieceInfo", "/Metadata", "/AF", "/OPI", "/Ref", "/StructParent", "/StructParents", "/LastModified"]
)
_EXTERNAL: Final = frozenset(["/F", "/FFilter", "/FDecodeParms"])
_UNSEEN: Final = 2 | 32  # annotation flags: hidden, no view
MAX_ANNOTATIONS: Final = 5_000
_FARTHEST: Final = 1_000_000.0
LETTER: Final = (0.0, 0.0, 612.0, 792.0)
"""What viewers take when a page has no usable size."""

Matrix = tuple[float, float, float, float, float, float]
Box = tuple[float, float, float, float]


def entries(dictionary: DictionaryObject) -> Iterator[tuple[str, Any]]:
    """Yield the entries that are carried, unresolved.

    Only dictionaries with a type and streams are filtered: in others (fonts' glyphs, resources) keys are free names.
    """
    filtered = isinstance(dictionary, StreamObject) or "/Type" in dictionary
    external = isinstance(dictionary, StreamObject)
    for name, value in dict.items(dictionary):
        if filtered and name in _LEFT_BEHIND:
            continue
        if external and (name in _EXTERNAL or name == "/Length"):
            continue
        yield str(name), value


def resolved(dictionary: DictionaryObject, name: str) -> Any:
    """Return an entry with its reference followed, None when absent."""
    value = dictionary.get(name)
    return value.get_object() if value is not None else None


def appearances(page: pypdf.PageObject) -> Iterator[tuple[Any, Matrix]]:
    """Yield (reference or stream of a form, matrix that puts it in its place) of each annotation that is seen."""
    annotations = resolved(page, "/Annots")
    if not isinstance(annotations, ArrayObject):
        return
    for entry in list.__getitem__(annotations, slice(MAX_ANNOTATIONS)):
        annotation = entry.get_object()
        if not isinstance(annotation, DictionaryObject) or "/OC" in annotation:
            continue
        flags = resolved(annotation, "/F")
        if (isinstance(flags, int) and flags & _UNSEEN) or annotation.get("/Subtype") == "/Popup":
            continue
        form = _normal(annotation)
        stream = form.get_object() if form is not None else None
        rectangle = box(resolved(annotation, "/Rect"))
        if isinstance(stream, StreamObject) and rectangle is not None:
            matrix = _placed(stream, rectangle)
            if matrix is not None:
                yield form, matrix


def _normal(annotation: DictionaryObject) -> Any:
    """Return the normal appearance of an annotation in its present state, unresolved."""
    appearance = resolved(annotation, "/AP")
    if not isinstance(appearance, DictionaryObject) or "/N" not in appearance:
        return None
    normal = appearance.raw_get("/N")
    states = normal.get_object()
    if isinstance(states, StreamObject):
        return normal
    state = resolved(annotation, "/AS")
    if isinstance(states, DictionaryObject) and state is not None and state in states:
        return states.raw_get(state)
    return None


def _placed(form: StreamObject, rectangle: Box) -> Matrix | None:
    """Return the matrix of ISO 32000-1, 12.5.5: the form's box, transformed, laid over the annotation's rectangle."""
    bounds = box(resolved(form, "/BBox"))
    if bounds is None:
        return None
    a, b, c, d, e, f = _matrix(resolved(form, "/Matrix"))
    corners = [(x, y) for x in (bounds[0], bounds[2]) for y in (bounds[1], bounds[3])]
    xs = [a * x + c * y + e for x, y in corners]
    ys = [b * x + d * y + f for x, y in corners]
    width, height = max(xs) - min(xs), max(ys) - min(ys)
    if width <= 0 or height <= 0:
        return None
    sx, sy = (rectangle[2] - rectangle[0]) / width, (rectangle[3] - rectangle[1]) / height
    return (sx, 0.0, 0.0, sy, rectangle[0] - min(xs) * sx, rectangle[1] - min(ys) * sy)


def _matrix(value: Any) -> Matrix:
    numbers = _numbers(value, 6)
    return (1.0, 0.0, 0.0, 1.0, 0.0, 0.0) if numbers is None else tuple(numbers)  # type: ignore[return-value]  # six numbers, as read


def _numbers(value: Any, count: int) -> list[float] | None:
    if not isinstance(value, ArrayObject) or len(value) != count:
        return None
    try:
        numbers = [float(entry.get_object()) for entry in list.__iter__(value)]
    except (TypeError, ValueError):
        return None
    return numbers if all(math.isfinite(number) and abs(number) <= _FARTHEST for number in numbers) else None


def box(value: Any) -> Box | None:
    """Return a rectangle as (left, bottom, right, top), None when it is none or empty."""
    numbers = _numbers(value, 4)
    if numbers is None:
        return None
    left, right = sorted((numbers[0], numbers[2]))
    bottom, top = sorted((numbers[1], numbers[3]))
    return (left, bottom, right, top) if right > left and top > bottom else None


def visible(page: pypdf.PageObject) -> Box:
    """Return what a viewer shows of a page: its crop box inside its media box."""
    media = box(resolved(page, "/MediaBox")) or LETTER
    crop = box(resolved(page, "/CropBox")) or media
    left, bottom = max(media[0], crop[0]), max(media[1], crop[1])
    right, top = min(media[2], crop[2]), min(media[3], crop[3])
    return (left, bottom, right, top) if right > left and top > bottom else media


def rotation(page: pypdf.PageObject) -> int:
    """Return by how many degrees clockwise a page is shown turned: 0, 90, 180 or 270."""
    value = resolved(page, "/Rotate")
    return int(value) % 360 // 90 * 90 if isinstance(value, int) else 0
