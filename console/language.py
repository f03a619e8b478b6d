"""Language and zone of a page: Chinese or English, and the clock that the reader's own wall shows.

Texts in code and templates are English; `translations/zh/messages.po` holds the Chinese. The catalogue is compiled in
memory when a process first needs it, so no compiled file can be older than its source. Not here: formats (`display`).
"""

import functools
import io
import zoneinfo
from pathlib import Path
from typing import Final

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import request

LANGUAGES: Final = {"zh": "中文", "en": "English"}
"""Language tags and their own names, in the order of the switch."""

DEFAULT_ZONE: Final = "Asia/Shanghai"
"""Zone of the market, for a reader whose browser has not told its own."""

LANGUAGE_COOKIE: Final = "lang"
ZONE_COOKIE: Final = "zone"

TRANSLATIONS: Final = Path(__file__).parent / "translations"


def mark(text: str) -> str:
    """Mark a text for the catalogue without translating it yet; `gettext` does when the page is drawn."""
    return text


def chosen() -> str:
    """Return the language of this request: asked for in `?lang=`, remembered in the cookie, or the browser's."""
    for wish in (request.args.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if wish in LANGUAGES:
            return wish
    return request.accept_languages.best_match(list(LANGUAGES), default="en") or "en"


def zone() -> zoneinfo.ZoneInfo:
    """Return the zone that the reader's browser told in a cookie, else the market's."""
    wish = request.cookies.get(ZONE_COOKIE, "")
    return zoneinfo.ZoneInfo(wish if wish in _zones() else DEFAULT_ZONE)


@functools.cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


@functools.cache
def catalogue(language: str) -> NullTranslations:
    """Return the texts of a language; English needs none."""
    path = TRANSLATIONS / language / "messages.po"
    if not path.exists():
        return NullTranslations()
    compiled = io.BytesIO()
    with path.open("rb") as source:
        write_mo(compiled, read_po(source, locale=language))
    compiled.seek(0)
    return Translations(compiled)


def gettext(text: str) -> str:
    """Translate a text into the language of this request."""
    return str(catalogue(chosen()).gettext(text)) if text else ""


def ngettext(one: str, many: str, count: int) -> str:
    """Translate a text that depends on a count into the language of this request."""
    return str(catalogue(chosen()).ngettext(one, many, count))
