"""The stylesheet: contrast of every pair of colours that meet (WCAG 2.2 AA), nothing from elsewhere."""

import re

import pytest

from console.site import FOLDER, STATIC

SHEET = (STATIC / "console.css").read_text(encoding="utf-8")
TOKEN = re.compile(r"--([a-z0-9-]+): (#[0-9a-f]{6});")
TEXT, GRAPHIC = 4.5, 3.0
PAIRS = [
    *[(ink, ground, TEXT) for ink in ("ink", "muted", "accent") for ground in ("ground", "surface", "sunk")],
    ("accent-ink", "accent", TEXT),
    ("ink", "accent-soft", TEXT),
    ("accent", "accent-soft", TEXT),
    *[(tone, ground, TEXT) for tone in ("good", "warn", "bad") for ground in ("surface", "ground", f"{tone}-soft")],
    ("bar", "surface", GRAPHIC),
    ("bar", "sunk", GRAPHIC),
    ("accent", "ground", GRAPHIC),
]


def themes():
    light, dark = SHEET.split("@media (prefers-color-scheme: dark)", 1)
    return {"light": dict(TOKEN.findall(light)), "dark": dict(TOKEN.findall(dark.split("\n}\n", 1)[0]))}


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_computed_right():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_that_meet_have_enough_contrast(theme):
    tokens = themes()[theme]
    faint = {
        (a, b): round(contrast(tokens[a], tokens[b]), 2)
        for a, b, least in PAIRS
        if contrast(tokens[a], tokens[b]) < least
    }
    assert not faint


def test_colours_are_tokens():
    rules = re.sub(r":root \{.*?\n\s*\}", "", SHEET, flags=re.DOTALL)
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b|rgba?\(", rules)


def test_nothing_comes_from_elsewhere_and_nothing_is_inline():
    for path in [*STATIC.rglob("*.css"), *STATIC.rglob("*.js"), *(FOLDER / "templates").rglob("*.html")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?:src|href|action|url\(|@import|fetch\()\s*=?\s*[\"'(]?(?:https?:)?//", text), path
        assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=\"|<style", text), path
        assert "|safe" not in text, path
