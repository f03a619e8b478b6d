"""How figures look on a page: amounts with currency and thousands, instants in the reader's zone, counts, rates.

Everything here takes exact values and returns text or safe markup; nothing is rounded but compact amounts of pictures,
which stand beside the exact ones.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from babel import numbers
from markupsafe import Markup

from console import language
from console.charts import Moment
from marketplace.clock import format_instant
from marketplace.money import Money

NOTHING: Final = "–"
"""Stands where there is no value, so that an empty cell is never taken for a zero."""

_MINUS: Final = "\N{MINUS SIGN}"


def plain(money: Money) -> str:
    """Write an amount as text: `CNY 1,234,567.89`."""
    return f"{money.currency} {_digits(money)}"


def amount(money: Money | None) -> Markup | str:
    """Write an amount with its currency; the digits line up in a column set right."""
    if money is None:
        return NOTHING
    return Markup('<span class="amount"><span class="currency">{}</span> {}</span>').format(
        money.currency, _digits(money)
    )


def _digits(money: Money) -> str:
    whole, point, fraction = Money(abs(money.minor), money.currency).text.partition(".")
    return (_MINUS if money.minor < 0 else "") + f"{int(whole):,}{point}{fraction}"


def compact(money: Money) -> str:
    """Write an amount short for the axis of a picture, without its currency: `1.2M`, `123万`."""
    return str(numbers.format_compact_decimal(money.to_decimal(), locale=language.chosen(), fraction_digits=3))


def money(minor: int | None, currency: str) -> Money | None:
    """Return minor units of a row as an amount, None when there are none."""
    return None if minor is None else Money(minor, currency)


def count(number: int | None) -> str:
    """Write a count with thousands."""
    return NOTHING if number is None else f"{number:,}"


def number(value: Decimal | None) -> str:
    """Write an exact decimal number with thousands and all its places."""
    return NOTHING if value is None else f"{value:,f}"


def rate(value: Decimal | None, places: int = 2) -> str:
    """Write an exact rate in per cent: 0.0625 is `6.25%`."""
    if value is None:
        return NOTHING
    return str(numbers.format_percent(value, "#,##0." + "0" * places + "%", locale=language.chosen()))


def instant(at: datetime | None, *, seconds: bool = True) -> Markup | str:
    """Write an instant in the reader's zone (stated at the foot of each page), exact for machines."""
    if at is None:
        return NOTHING
    local = at.astimezone(language.zone())
    text = local.strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")
    return Markup('<time datetime="{}">{}</time>').format(format_instant(at), text)


def moment(at: datetime | None) -> Markup | str:
    """Write an instant to the minute."""
    return instant(at, seconds=False)


def clock_time(at: datetime) -> Markup:
    """Write the time of day of an instant to the millisecond: bids are told apart by less than a second."""
    local = at.astimezone(language.zone())
    text = local.strftime("%H:%M:%S.") + f"{local.microsecond // 1000:03d}"
    return Markup('<time datetime="{}">{}</time>').format(format_instant(at), text)


def axis(moments: Sequence[Moment]) -> list[str]:
    """Write the instants of a time axis: with its date when the day differs from the one before."""
    local = [moment.instant.astimezone(language.zone()) for moment in moments]
    days = [None, *(at.date() for at in local)]
    return [
        at.strftime("%H:%M:%S" if at.date() == before else "%Y-%m-%d %H:%M:%S")
        for at, before in zip(local, days, strict=False)
    ]


def day(on: date | None) -> Markup | str:
    """Write a calendar date."""
    return NOTHING if on is None else Markup('<time datetime="{0}">{0}</time>').format(on.isoformat())


def zone_name(at: datetime) -> str:
    """Name the reader's zone with its distance from UTC at an instant: `Asia/Shanghai (UTC+08:00)`."""
    zone = language.zone()
    offset = at.astimezone(zone).utcoffset() or timedelta(0)
    sign, minutes = ("+" if offset >= timedelta(0) else _MINUS), abs(offset) // timedelta(minutes=1)
    return f"{zone.key} (UTC{sign}{minutes // 60:02d}:{minutes % 60:02d})"


def milliseconds(at: datetime) -> int:
    """Return an instant as milliseconds since 1970, as browsers count."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
