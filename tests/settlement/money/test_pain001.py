"""Payment files: whatever names and references people have, what we write is pain.001.001.09 and adds up."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from marketplace.money import Money
from settlement.domain.pain001 import NAMESPACE, Transfer, TransferBatch, write_pain001

SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).with_name("pain001_subset.xsd")))
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200).filter(str.strip)
NUMBERS = st.one_of(
    st.just("DE89 3704 0044 0532 0130 00"), st.from_regex(r"[0-9A-Za-z][0-9A-Za-z -]{0,33}", fullmatch=True)
)


def transfers(currency: str):
    return st.lists(
        st.builds(
            Transfer,
            reference=st.just("PO-7K3M9Q2X"),
            amount=st.integers(1, 10**14).map(lambda minor: Money(minor, currency)),
            payee_name=NAMES,
            payee_account=NUMBERS,
            remittance=st.text(max_size=200),
        ),
        min_size=1,
        max_size=4,
    )


def batches():
    return st.lists(st.sampled_from(["CNY", "EUR", "JPY", "KWD"]), min_size=1, max_size=3, unique=True).flatmap(
        lambda currencies: st.tuples(
            *(st.builds(TransferBatch, account=NUMBERS, transfers=transfers(one)) for one in currencies)
        )
    )


@settings(max_examples=80)
@given(batches=batches(), initiator=NAMES)
def test_the_file_is_valid_and_its_controls_add_up(batches, initiator) -> None:
    content = write_pain001(batches, message_id="PO20260302T090000", initiator=initiator, at=AT)
    root = etree.fromstring(content)
    SCHEMA.assertValid(root)
    names = {"p": NAMESPACE}
    assert int(root.findtext(".//p:GrpHdr/p:NbOfTxs", namespaces=names)) == sum(len(one.transfers) for one in batches)
    for block, batch in zip(root.findall(".//p:PmtInf", names), batches, strict=True):
        amounts = block.findall(".//p:InstdAmt", names)
        assert Decimal(block.findtext("p:CtrlSum", namespaces=names)) == sum(Decimal(one.text) for one in amounts)
        assert [one.get("Ccy") for one in amounts] == [one.amount.currency for one in batch.transfers]
        assert content == write_pain001(batches, message_id="PO20260302T090000", initiator=initiator, at=AT)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<NbOfTxs>1</NbOfTxs><InitgPty>", b"<InitgPty>"),
        (b"TRF", b"CHK"),
        (b'Ccy="CNY"', b'Ccy="cny"'),
        (b">1.00</InstdAmt>", b">-1.00</InstdAmt>"),
        (b"<CdtrAcct>", b"<CdtrAcc>"),
    ],
)
def test_the_schema_can_refuse(old, new) -> None:
    one = Transfer("PO-7K3M9Q2X", Money(100, "CNY"), "华信资产", "6217000", "refund")
    content = write_pain001([TransferBatch("622202", [one])], message_id="M", initiator="平台", at=AT)
    SCHEMA.assertValid(etree.fromstring(content))
    changed = content.replace(old, new).replace(b"</CdtrAcct>", b"</CdtrAcc>" if b"Acc>" in new else b"</CdtrAcct>")
    assert changed != content
    assert not SCHEMA.validate(etree.fromstring(changed))
