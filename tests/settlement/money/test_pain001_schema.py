"""Payment files against the schema of ISO 20022 itself, whole and unchanged (`schemas/README.md`)."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from lxml import etree

from marketplace.money import EXPONENTS, Money
from settlement.domain.pain001 import Transfer, TransferBatch, write_pain001
from tests.settlement.money.test_pain001 import NAMES, batches

SCHEMA_FILE = Path(__file__).with_name("schemas") / "pain.001.001.09.xsd"
SHA256 = "05440a7e84f695e7dbc6677082f43623cd7393881b76a5e8d648ae21d7d728e3"
SCHEMA = etree.XMLSchema(file=SCHEMA_FILE)
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
LONG = "浙江" * 300


def problem(content: bytes) -> str:
    """What is wrong with a message by the schema, nothing when it is valid."""
    return "" if SCHEMA.validate(etree.fromstring(content)) else str(SCHEMA.error_log.last_error)


def written(*transfers: Transfer, account: str = "622202", initiator: str = "市场运营方") -> bytes:
    return write_pain001([TransferBatch(account, transfers)], message_id="M", initiator=initiator, at=AT)


def test_the_schema_is_the_one_that_was_published() -> None:
    assert hashlib.sha256(SCHEMA_FILE.read_bytes()).hexdigest() == SHA256


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])  # long texts take their time to make
@given(found=batches(), initiator=NAMES)
def test_whatever_names_and_references_people_have_the_file_is_valid(found, initiator) -> None:
    assert problem(write_pain001(found, message_id="PO20260302T090000", initiator=initiator, at=AT)) == ""


@pytest.mark.parametrize(
    ("name", "account", "remittance"),
    [
        ("中国华融资产管理股份有限公司（浙江分公司）", "6222 0212 0200 0012 345", "第一期不良资产包 保证金退回"),
        (LONG, "9" * 60, LONG), ('A & B <GmbH> "q" \U0001f600', "DE89 3704 0044 0532 0130 00", "\x00\x1f\ufffe ]]>"),
        (" ", "0", ""), ("\t\n", "6217-000", "\r\n" * 100),
    ],
)  # fmt: skip
def test_odd_and_long_texts_are_valid(name, account, remittance) -> None:
    one = Transfer("PO-7K3M9Q2X", Money(1, "CNY"), name, account, remittance)
    assert problem(written(one, account=account, initiator=name)) == ""


def test_many_orders_in_every_currency_are_valid() -> None:
    many = [
        TransferBatch(
            f"62220{number}",
            [Transfer("PO-7K3M9Q2X", Money(10**13 + n, currency), f"收款{n}", f"62{n}", "x") for n in range(1_000)],
        )
        for number, currency in enumerate(sorted(EXPONENTS))
    ]
    assert problem(write_pain001(many, message_id="PO20260302T090000", initiator="市场运营方", at=AT)) == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<NbOfTxs>1</NbOfTxs><InitgPty>", b"<InitgPty>"), (b"TRF", b"WIR"), (b'Ccy="CNY"', b'Ccy="cny"'),
        (b">1.00</InstdAmt>", b">-1.00</InstdAmt>"), (b"PO-7K3M9Q2X</EndToEndId>", b"X" * 36 + b"</EndToEndId>"),
        (b"<Nm>\xe5\x8d\x8e", b"<Nm/><Nm>\xe5\x8d\x8e"),
    ],
)  # fmt: skip
def test_the_schema_can_refuse(old, new) -> None:
    content = written(Transfer("PO-7K3M9Q2X", Money(100, "CNY"), "华信资产", "6217000", "refund"))
    assert problem(content) == ""
    changed = content.replace(old, new)
    assert changed != content
    assert problem(changed)
