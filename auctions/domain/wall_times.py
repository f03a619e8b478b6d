"""Times as a clock on a wall shows them: a local time and a zone, turned into an instant or refused.

When clocks go forward an hour of local times does not exist; when they go back an hour happens twice. Neither is
guessed: both readings are named, and the sender chooses one by sending it as an instant.
"""

import re
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from marketplace.clock import format_instant
from marketplace.errors import Invalid

_LOCAL: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?", re.ASCII)
_ZONE: Final = re.compile(r"UTC|[A-Z][A-Za-z_]{1,15}(/[A-Za-z0-9_+-]{1,32}){1,2}", re.ASCII)
"""Names by place; abbreviations and `localtime` mean different things on different machines."""


class UnknownZone(Invalid):
    """The zone is none of the tz database."""

    code = "unknown_zone"

    def __init__(self, name: object) -> None:
        super().__init__(f"{str(name)[:40]!r} is no zone such as Asia/Shanghai.")


class NotALocalTime(Invalid):
    """The text is no local date and time."""

    code = "not_a_local_time"

    def __init__(self, text: object) -> None:
        super().__init__(f"{str(text)[:40]!r} is no local time such as 2026-03-02T09:00:00, without an offset.")


class AmbiguousLocalTime(Invalid):
    """The local time has two readings; `candidates` are both, as instants and as that zone's clock shows them."""

    because: str

    def __init__(self, local: datetime, zone: ZoneInfo) -> None:
        readings = [local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
        self.candidates = [
            {"instant": format_instant(at), "shown_as": at.astimezone(zone).isoformat()} for at in sorted(readings)
        ]
        either = " or ".join(row["instant"] for row in self.candidates)
        super().__init__(
            f"{local.isoformat()} {self.because} in {zone.key}; send the instant that is meant: {either}.",
            candidates=self.candidates,
        )


class LocalTimeMissing(AmbiguousLocalTime):
    """The clock is put forward over this time."""

    code = "local_time_missing"
    because = "does not exist"


class LocalTimeTwice(AmbiguousLocalTime):
    """The clock is put back and shows this time twice."""

    code = "local_time_twice"
    because = "happens twice"


def zone_of(name: object) -> ZoneInfo:
    """Return a zone of the tz database; raise `UnknownZone`."""
    if not isinstance(name, str) or not _ZONE.fullmatch(name):
        raise UnknownZone(name)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownZone(name) from None


def instant(local: object, zone_name: object) -> datetime:
    """Return the one instant (UTC) at which clocks of the zone show `local`.

    Raises `NotALocalTime`, `UnknownZone`, and `LocalTimeMissing` or `LocalTimeTwice` when there is not exactly one.
    """
    zone = zone_of(zone_name)
    if not isinstance(local, str) or not _LOCAL.fullmatch(local):
        raise NotALocalTime(local)
    try:
        naive = datetime.fromisoformat(local)
        earlier, later = (naive.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
        if earlier.utcoffset() != later.utcoffset():
            back = earlier.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == naive
            raise (LocalTimeTwice if back else LocalTimeMissing)(naive, zone)
        return earlier.astimezone(UTC)
    except (ValueError, OverflowError):
        raise NotALocalTime(local) from None
