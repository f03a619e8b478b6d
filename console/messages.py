"""The texts that need a translation, found in the code and the templates; `python -m console.messages` updates the .po.

Run it after changing texts, then fill in the empty `msgstr`s. A test fails while one is missing or left over.
"""

import sys
from pathlib import Path
from typing import Any, Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

FOLDER: Final = Path(__file__).parent

_METHODS: Final = [("**.py", "python"), ("templates/**.html", "jinja2.ext.babel_extract")]
_OPTIONS: Final = {"templates/**.html": {"trimmed": "true", "silent": "false"}}
_KEYWORDS: Final[dict[str, Any]] = {"_": None, "mark": None, "gettext": None, "ngettext": (1, 2)}


def extract() -> Catalog:
    """Return every text of the pages with the places where it stands."""
    template = Catalog(project="console", fuzzy=False)
    found = extract_from_dir(FOLDER, _METHODS, _OPTIONS, keywords=_KEYWORDS)
    for path, _line, message, _comments, _context in sorted(found, key=lambda entry: (entry[0], entry[1])):
        template.add(message, locations=[(path, None)])  # type: ignore[list-item]  # as the library takes it
    return template


def path_of(language: str) -> Path:
    """Return where the texts of a language are."""
    return FOLDER / "translations" / language / "messages.po"


def read(language: str) -> Catalog:
    """Return the texts of a language as they stand in its file."""
    with path_of(language).open("rb") as source:
        return read_po(source, locale=language)


def update(language: str) -> int:
    """Bring a language's file up to date with the pages; return how many texts still lack a translation."""
    catalogue = read(language) if path_of(language).exists() else Catalog(locale=language, fuzzy=False)
    catalogue.update(extract(), no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    with path_of(language).open("wb") as target:
        write_po(target, catalogue, width=120, omit_header=True, sort_output=True)
    return sum(not message.string for message in catalogue if message.id)


if __name__ == "__main__":
    sys.stdout.write(f"{update('zh')} texts lack a translation\n")
