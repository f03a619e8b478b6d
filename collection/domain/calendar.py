"""Calendar arithmetic of the law: whole months and years, a day that does not exist becoming the last of its month."""

import calendar
from datetime import date


def add_months(day: date, months: int) -> date:
    """Return the same day so many months later, or the last day of a month that has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def add_years(day: date, years: int) -> date:
    """Return the same day so many years later; 29 February becomes 28 February where there is none."""
    return add_months(day, 12 * years)
