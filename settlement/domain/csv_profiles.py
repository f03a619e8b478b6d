"""Named layouts of CSV exports, each with a version.

A bank that changes its columns gets a new version, and files of before still read as they did. Anything else is read
by its usual headers (`bank_csv.HEADERS`) or by columns given with the file.

The layouts of Chinese banks are those of their corporate online banking as their help pages name the columns
(secondary sources; an export of one's own bank decides). `oca_*` are the public samples of OCA/bank-statement-import.
"""

from collections.abc import Mapping
from typing import Final

from marketplace.errors import Invalid
from settlement.domain.bank_csv import Column, CsvProfile, DateOrder

PROFILES: Final[Mapping[str, CsvProfile]] = {
    "icbc/1": CsvProfile(
        columns={
            Column.DATE: "交易时间",
            Column.CREDIT: "贷方发生额",
            Column.DEBIT: "借方发生额",
            Column.BALANCE: "余额",
            Column.NAME: "对方单位名称",
            Column.ACCOUNT: "对方账号",
            Column.REFERENCE: "凭证号",
        },
        currency="CNY",
    ),
    "abc/1": CsvProfile(
        columns={
            Column.DATE: "交易时间",
            Column.CREDIT: "收入金额",
            Column.DEBIT: "支出金额",
            Column.BALANCE: "本次余额",
            Column.NAME: "对方户名",
            Column.ACCOUNT: "对方账号",
        },
        currency="CNY",
    ),
    "boc/1": CsvProfile(
        columns={
            Column.DATE: "交易日期",
            Column.VALUE_DATE: "起息日期",
            Column.AMOUNT: "交易金额",
            Column.CURRENCY: "交易货币",
            Column.BALANCE: "交易后余额",
            Column.NAME: "付款人名称",
            Column.ACCOUNT: "付款人账号",
            Column.REFERENCE: "交易流水号",
        },
    ),
    "ccb/1": CsvProfile(
        columns={
            Column.DATE: "记账日期",
            Column.CREDIT: "贷方发生额",
            Column.DEBIT: "借方发生额",
            Column.BALANCE: "余额",
            Column.NAME: "对方户名",
            Column.ACCOUNT: "对方账号",
            Column.REFERENCE: "账户明细编号-交易流水号",
        },
    ),
    "cmb/1": CsvProfile(
        columns={
            Column.DATE: "交易日",
            Column.VALUE_DATE: "起息日",
            Column.CREDIT: "贷方金额",
            Column.DEBIT: "借方金额",
            Column.BALANCE: "余额",
            Column.NAME: "收(付)方名称",
            Column.ACCOUNT: "收(付)方账号",
            Column.REFERENCE: "流水号",
        },
        currency="CNY",
    ),
    "oca_us/1": CsvProfile(date_order=DateOrder.MDY, absolute=True),
    "oca_us_card/1": CsvProfile(date_order=DateOrder.MDY, inverted=True),
    "oca_fr/1": CsvProfile(date_order=DateOrder.DMY, decimal_comma=True, absolute=True),
}
"""Layouts by `name/version`."""


class UnknownProfile(Invalid):
    """No layout has this name and version."""

    code = "unknown_profile"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name[:60]!r} is no layout of CSV exports.", found=name[:60], allowed=sorted(PROFILES))


def profile_named(name: str) -> CsvProfile:
    """Return the layout `name/version`; raise `UnknownProfile`."""
    found = PROFILES.get(name)
    if found is None:
        raise UnknownProfile(name)
    return found
