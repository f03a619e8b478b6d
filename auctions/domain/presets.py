"""Presets: what a market fixes for every sale in it, as versioned data with their sources (`data/presets.json`).

A preset has defaults for the terms, legal checks (`auctions.domain.checks`), a rectification window, who sees which
field, what follows the hammer, and plans for re-listing. Its version is that in force on the day of publication, and
its hash is frozen in the announcement: a version that was published is never changed. What a preset read wrongly is put
right by a newer version for the same days, which then holds. Nothing here decides by a preset's name.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from auctions.domain.canonical import fingerprint
from marketplace import documents
from marketplace.errors import Conflict, Invalid

PLAIN: Final = "plain"
"""The preset of a listing that names none."""

_FILE: Final = Path(__file__).with_name("data") / "presets.json"


class Audience(enum.StrEnum):
    """Who sees a field of a published listing; its seller, the operator and the auditor always do."""

    EVERYONE = "everyone"
    REGISTERED = "registered"


class UnknownPreset(Invalid):
    """There is no preset of that name."""

    code = "unknown_preset"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is no preset {name[:40]!r}.",
            errors=[{"pointer": "/preset", "found": name[:40], "allowed": ", ".join(names())}],
        )


class PresetNotInForce(Conflict):
    """The preset exists, but no version of it holds on the day."""

    code = "preset_not_in_force"

    def __init__(self, name: str, day: date) -> None:
        super().__init__(f"No version of the preset {name!r} is in force on {day}.", preset=name, day=day.isoformat())


@dataclass(frozen=True, slots=True)
class Preset:
    """One version of a preset. `document` is all of its data as published, `hash` the fingerprint of it."""

    name: str
    version: int
    valid_from: date
    valid_until: date | None
    document: Mapping[str, Any]

    @property
    def hash(self) -> str:
        """Fingerprint of the preset's data."""
        return fingerprint(self.document)

    @property
    def zone(self) -> str:
        """Zone of the market's clock and days."""
        return str(self.document["zone"])

    @property
    def calendar(self) -> str:
        """Name of the market's calendar of working days."""
        return str(self.document["calendar"])

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Values of terms that a draft has as long as its seller says nothing else."""
        return self.document["defaults"]  # type: ignore[no-any-return]  # Any by its library

    @property
    def checks(self) -> Sequence[Mapping[str, Any]]:
        """What is checked before publication, as `auctions.domain.checks` reads it."""
        return self.document["checks"]  # type: ignore[no-any-return]  # Any by its library

    @property
    def rectification(self) -> Mapping[str, Any]:
        """`working_days` after publication in which `fields` may be changed, and whether after a registration."""
        return self.document["rectification"]  # type: ignore[no-any-return]  # Any by its library

    @property
    def no_resale(self) -> bool:
        """Whether a buyer undertakes not to resell (rules.md, Packages: buyers of bulk personal packages, S)."""
        return bool(self.document.get("no_resale", False))

    @property
    def no_resale_source(self) -> Mapping[str, Any]:
        """Source of `no_resale`, for a refusal to name; a preset that has the one has the other."""
        return self.document["no_resale_source"]  # type: ignore[no-any-return]  # Any by its library

    @property
    def awards(self) -> Mapping[str, Any]:
        """What follows the hammer: the document of an `AwardTerms`."""
        return self.document["awards"]  # type: ignore[no-any-return]  # Any by its library

    def holds_on(self, day: date) -> bool:
        """Whether the version is in force on a day of its own zone: from inclusive, until exclusive."""
        return self.valid_from <= day and (self.valid_until is None or day < self.valid_until)

    def hidden_from(self, audience: Audience) -> frozenset[str]:
        """Return the fields of a published listing that an audience does not see."""
        seen = {Audience.EVERYONE, audience}
        return frozenset(name for name, who in self.document["visibility"]["fields"].items() if who not in seen)


def _load() -> tuple[Preset, ...]:
    table = documents.parse(_FILE.read_bytes())
    return tuple(
        Preset(
            name=row["name"],
            version=row["version"],
            valid_from=date.fromisoformat(row["valid_from"]),
            valid_until=None if row["valid_until"] is None else date.fromisoformat(row["valid_until"]),
            document=row,
        )
        for row in table["presets"]
    )


PRESETS: Final = _load()
"""Every version of every preset, oldest first within a name."""


def names() -> list[str]:
    """Return the names of the presets, in the order of the data."""
    return list(dict.fromkeys(preset.name for preset in PRESETS))


def versions(name: str) -> list[Preset]:
    """Return every version of a preset, oldest first; raise `UnknownPreset`."""
    found = [preset for preset in PRESETS if preset.name == name]
    if not found:
        raise UnknownPreset(name)
    return found


def in_force(name: str, day: date) -> Preset:
    """Return the newest version of a preset that holds on a day; raise `UnknownPreset`, `PresetNotInForce`."""
    found = [preset for preset in versions(name) if preset.holds_on(day)]
    if not found:
        raise PresetNotInForce(name, day)
    return found[-1]


def is_in_force(preset: Preset, day: date) -> bool:
    """Whether a listing that is announced on a day gets this version: a newer one that holds takes its place."""
    return preset.holds_on(day) and in_force(preset.name, day) is preset


def version(name: str, number: int) -> Preset:
    """Return a version by its number, in force or not; one that is not there is a programming error (KeyError)."""
    return {preset.version: preset for preset in versions(name)}[number]
