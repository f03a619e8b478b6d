"""The columns of a tape: every field of a case, its kind, and the headers under which the market delivers it.

Headers are compared after `normal`: full-width letters, case, blanks, underscores and a unit in brackets do not matter.
"""

import enum
import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from marketplace.cases.domain.case import CHINESE, CustomerType, Grade, Litigation, Security


class Kind(enum.Enum):
    """How the cells of a column are read."""

    TEXT = enum.auto()
    AMOUNT = enum.auto()
    COUNT = enum.auto()
    DATE = enum.auto()
    CHOICE = enum.auto()
    FLAG = enum.auto()
    CURRENCY = enum.auto()
    PROVINCE = enum.auto()
    IDENTITY = enum.auto()
    PHONE = enum.auto()


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a case. `maximum` bounds text in characters and counts in value; `personal` stays out of reports."""

    name: str
    kind: Kind
    headers: tuple[str, ...]
    maximum: int = 0
    required: bool = False
    personal: bool = False
    choices: type[enum.StrEnum] | None = None


_CATALOGUE: Final = (
    Field(
        "case_key",
        Kind.TEXT,
        (
            "案件编号",
            "合同编号",
            "合同号",
            "借据号",
            "借据编号",
            "case key",
            "case id",
            "loan id",
            "loan number",
            "contract number",
        ),
        64,
        required=True,
    ),
    Field("borrower_key", Kind.TEXT, ("客户编号", "客户号", "borrower key", "customer id", "customer number"), 64),
    Field(
        "product", Kind.TEXT, ("产品", "产品名称", "产品类型", "业务品种", "贷款品种", "product", "product type"), 60
    ),
    Field(
        "customer_type", Kind.CHOICE, ("客户类型", "借款人类型", "customer type", "borrower type"), choices=CustomerType
    ),
    Field("currency", Kind.CURRENCY, ("币种", "币别", "currency")),
    Field(
        "principal",
        Kind.AMOUNT,
        ("未偿本金", "剩余本金", "本金余额", "贷款本金余额", "principal", "outstanding principal", "principal balance"),
        required=True,
    ),
    Field(
        "interest",
        Kind.AMOUNT,
        ("未偿利息", "欠息", "利息余额", "拖欠利息", "interest", "outstanding interest", "accrued interest"),
    ),
    Field("other", Kind.AMOUNT, ("其他费用", "其它费用", "费用", "other", "other fees", "fees")),
    Field("days_past_due", Kind.COUNT, ("逾期天数", "days past due", "dpd", "overdue days"), 36_500),
    Field("default_on", Kind.DATE, ("违约日期", "逾期日期", "逾期起始日", "default date", "default on")),
    Field(
        "originated_on",
        Kind.DATE,
        ("放款日期", "发放日期", "贷款发放日", "origination date", "originated on", "disbursement date"),
    ),
    Field("grade", Kind.CHOICE, ("五级分类", "风险分类", "five class grade", "grade"), choices=Grade),
    Field(
        "litigation",
        Kind.CHOICE,
        ("诉讼状态", "诉讼情况", "诉讼阶段", "litigation", "litigation state"),
        choices=Litigation,
    ),
    Field("written_off", Kind.FLAG, ("是否核销", "核销", "核销情况", "written off")),
    Field(
        "security", Kind.CHOICE, ("担保方式", "主要担保方式", "担保类型", "security", "security kind"), choices=Security
    ),
    Field("credit_limit", Kind.AMOUNT, ("授信额度", "信用额度", "合同金额", "credit limit", "loan amount")),
    Field("province", Kind.PROVINCE, ("省份", "省", "所在省", "province", "state"), 40),
    Field("city", Kind.TEXT, ("城市", "市", "所在市", "city"), 60),
    Field(
        "borrower_name",
        Kind.TEXT,
        ("借款人", "借款人姓名", "借款人名称", "客户姓名", "客户名称", "borrower", "borrower name", "customer name"),
        120,
        required=True,
        personal=True,
    ),
    Field(
        "borrower_identity_number",
        Kind.IDENTITY,
        (
            "身份证号",
            "身份证号码",
            "证件号码",
            "借款人证件号码",
            "统一社会信用代码",
            "identity number",
            "borrower identity number",
            "id number",
        ),
        40,
        personal=True,
    ),
    Field(
        "borrower_phone",
        Kind.PHONE,
        ("手机号", "手机号码", "联系电话", "借款人电话", "phone", "borrower phone", "mobile"),
        24,
        personal=True,
    ),
    Field(
        "guarantor_name",
        Kind.TEXT,
        ("保证人", "保证人姓名", "保证人名称", "担保人", "guarantor", "guarantor name"),
        120,
        personal=True,
    ),
    Field(
        "guarantor_identity_number",
        Kind.IDENTITY,
        ("保证人证件号码", "保证人身份证号", "担保人证件号码", "guarantor identity number"),
        40,
        personal=True,
    ),
    Field(
        "guarantor_phone",
        Kind.PHONE,
        ("保证人电话", "保证人手机号", "担保人电话", "guarantor phone"),
        24,
        personal=True,
    ),
    Field(
        "collateral_kind",
        Kind.TEXT,
        ("抵押物类型", "押品类型", "抵质押物类型", "collateral kind", "collateral type"),
        60,
    ),
    Field("collateral_description", Kind.TEXT, ("抵押物描述", "押品描述", "抵押物地址", "collateral description"), 500),
    Field(
        "collateral_value",
        Kind.AMOUNT,
        ("抵押物评估价值", "押品评估价值", "抵押物市值", "collateral value", "market value"),
    ),
    Field("prior_liens", Kind.AMOUNT, ("在先抵押金额", "优先受偿金额", "在先债权", "prior liens")),
    Field("registered_cap", Kind.AMOUNT, ("最高债权额", "抵押登记金额", "registered cap")),
    Field("collateral_city", Kind.TEXT, ("抵押物城市", "押品所在城市", "collateral city"), 60),
)

FIELDS: Final = {field.name: field for field in _CATALOGUE}
"""Every field by name, in the order of the template."""

_UNIT = re.compile(r"[(\[【][^)\]】]*[)\]】]$")
_FILLING = re.compile(r"[\s_\-]+")


def normal(header: str) -> str:
    """Return a header as it is compared."""
    text = _UNIT.sub("", unicodedata.normalize("NFKC", header).strip().lstrip("\ufeff"))
    return _FILLING.sub("", text).casefold()


HEADERS: Final = {normal(header): field.name for field in FIELDS.values() for header in (field.name, *field.headers)}
"""Field by normal header, for tapes without a saved mapping."""

_MORE_WORDS: Final[dict[str, dict[str, enum.StrEnum]]] = {
    "security": {
        "信用免担保": Security.UNSECURED,
        "无担保": Security.UNSECURED,
        "credit": Security.UNSECURED,
        "none": Security.UNSECURED,
        "mortgage": Security.MORTGAGED,
        "pledge": Security.PLEDGED,
        "guarantee": Security.GUARANTEED,
        "抵押担保": Security.MORTGAGED,
    },
    "customer_type": {
        "自然人": CustomerType.PERSON,
        "法人": CustomerType.COMPANY,
        "公司": CustomerType.COMPANY,
        "individual": CustomerType.PERSON,
        "corporate": CustomerType.COMPANY,
    },
    "litigation": {
        "未诉讼": Litigation.NOT_SUED,
        "none": Litigation.NOT_SUED,
        "已判决未执行": Litigation.JUDGED_NOT_ENFORCED,
        "终结本次执行": Litigation.ENFORCEMENT_ENDED_THIS_TIME,
    },
    "grade": {
        "正常类": Grade.NORMAL,
        "关注类": Grade.SPECIAL_MENTION,
        "次级类": Grade.SUBSTANDARD,
        "可疑类": Grade.DOUBTFUL,
        "损失类": Grade.LOSS,
    },
}


def words(field: Field) -> dict[str, str]:
    """Return the value behind every word that a choice or flag column may hold, by normal word."""
    if field.kind is Kind.FLAG:
        yes, no = ("是", "已核销", "yes", "y", "true", "1"), ("否", "未核销", "no", "n", "false", "0")
        return {normal(word): "true" for word in yes} | {normal(word): "false" for word in no}
    if field.choices is None:
        return {}
    table = {normal(member.value): member.value for member in field.choices}
    table |= {normal(CHINESE[member]): member.value for member in field.choices}
    return table | {normal(word): member.value for word, member in _MORE_WORDS.get(field.name, {}).items()}


DEFAULTS: Final = {
    "customer_type": CustomerType.PERSON.value,
    "litigation": Litigation.NOT_SUED.value,
    "security": Security.UNSECURED.value,
    "written_off": "false",
}
"""What an absent or empty cell means; an empty interest, fee or collateral figure is zero or unknown."""
