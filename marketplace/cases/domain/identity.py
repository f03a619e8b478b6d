"""Identity numbers: the Chinese resident number (GB 11643) and company code (GB 32100), singly or by column.

A resident number is valid when its province code exists (GB/T 2260, first two digits), its birth date is a day not
after the tape's date, and its check character fits (ISO 7064 MOD 11-2). County codes are not looked up: thousands were
assigned and abolished since 1984, and refusing a real person's number is worse than keeping a mistyped county.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import polars as pl
from stdnum.cn import uscc
from stdnum.exceptions import ValidationError

from marketplace.cases.domain.case import Sex

PROVINCES: Final = {
    "11": "北京", "12": "天津", "13": "河北", "14": "山西", "15": "内蒙古", "21": "辽宁", "22": "吉林", "23": "黑龙江",
    "31": "上海", "32": "江苏", "33": "浙江", "34": "安徽", "35": "福建", "36": "江西", "37": "山东", "41": "河南",
    "42": "湖北", "43": "湖南", "44": "广东", "45": "广西", "46": "海南", "50": "重庆", "51": "四川", "52": "贵州",
    "53": "云南", "54": "西藏", "61": "陕西", "62": "甘肃", "63": "青海", "64": "宁夏", "65": "新疆", "71": "台湾",
    "81": "香港", "82": "澳门", "83": "台湾",
}  # fmt: skip
"""Province by the first two digits (GB/T 2260; 83 since 2018 for residents from Taiwan)."""

_SUFFIXES: Final = ("维吾尔自治区", "壮族自治区", "回族自治区", "特别行政区", "自治区", "省", "市")
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS: Final = "10X98765432"
_PATTERN: Final = r"^[1-8][0-9]{16}[0-9X]$"
_OLDEST: Final = date(1900, 1, 1)

PROVINCE_NAMES: Final = {
    name: short for short in PROVINCES.values() for name in (short, *(short + suffix for suffix in _SUFFIXES))
}
"""Every usual way to write a province, and its short name."""


@dataclass(frozen=True, slots=True)
class Person:
    """What a resident number tells of its holder."""

    birth_on: date
    sex: Sex
    province: str


def check_character(body: str) -> str:
    """Return the check character of the 17 digits of a resident number (ISO 7064 MOD 11-2)."""
    return _CHECKS[sum(int(digit) * weight for digit, weight in zip(body, _WEIGHTS, strict=True)) % 11]


def read_resident_number(number: str, *, as_of_on: date) -> Person | None:
    """Return what a resident number says, None when it is not valid; lower case x and blanks around are accepted."""
    number = number.strip().upper()
    if len(number) != 18 or not number[:17].isascii() or not number[:17].isdigit():  # noqa: PLR2004 - GB 11643
        return None
    province = PROVINCES.get(number[:2])
    try:
        birth_on = datetime.strptime(number[6:14], "%Y%m%d").date()  # noqa: DTZ007 - a calendar date
    except ValueError:
        return None
    if province is None or not _OLDEST <= birth_on <= as_of_on or number[17] != check_character(number[:17]):
        return None
    return Person(birth_on, Sex.MALE if int(number[16]) % 2 else Sex.FEMALE, province)


def read_resident_numbers(numbers: pl.Series, *, as_of_on: date) -> pl.DataFrame:
    """Read a column: `valid`, `birth_year`, `sex`, `province`; the same rule as `read_resident_number`, much faster."""
    frame = pl.DataFrame({"number": numbers.str.to_uppercase()})
    number = pl.col("number")
    digits = [number.str.slice(i, 1).cast(pl.Int32, strict=False) for i in range(17)]
    total = pl.sum_horizontal(
        [digit * weight for digit, weight in zip(digits, _WEIGHTS, strict=True)], ignore_nulls=False
    )
    birth_on = number.str.slice(6, 8).str.to_date("%Y%m%d", strict=False)
    province = number.str.slice(0, 2).replace_strict(PROVINCES, default=None, return_dtype=pl.String)
    check = (
        (total % 11)
        .cast(pl.String)
        .replace_strict({str(i): char for i, char in enumerate(_CHECKS)}, default=None, return_dtype=pl.String)
    )
    valid = (
        number.str.contains(_PATTERN)
        & province.is_not_null()
        & birth_on.is_between(_OLDEST, as_of_on)
        & (number.str.slice(17, 1) == check)
    ).fill_null(value=False)
    sex = pl.when(digits[16] % 2 == 1).then(pl.lit(Sex.MALE.value)).otherwise(pl.lit(Sex.FEMALE.value))
    return frame.select(
        valid.alias("valid"),
        pl.when(valid).then(birth_on.dt.year().cast(pl.Int32)).alias("birth_year"),
        pl.when(valid).then(sex).alias("sex"),
        pl.when(valid).then(province).alias("province"),
    )


def is_company_code(number: str) -> bool:
    """Tell whether the text is a unified social credit code with a right check character."""
    try:
        uscc.validate(number)
    except ValidationError:
        return False
    return True
