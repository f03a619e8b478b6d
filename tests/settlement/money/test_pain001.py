"""Payment files: whatever names and references people have, what we write is pain.001.001.09 and adds up.

`SEQUENCES` and `FACETS` are the part of the published schema that we write: order, obligation and facets of ISO 20022.
Whatever passes here is valid there; nothing else is allowed here.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace.money import Money
from settlement.domain.pain001 import NAMESPACE, Transfer, TransferBatch, write_pain001

SEQUENCES = {
    "Document": ["CstmrCdtTrfInitn"],
    "CstmrCdtTrfInitn": ["GrpHdr", "PmtInf+"],
    "GrpHdr": ["MsgId", "CreDtTm", "NbOfTxs", "InitgPty"],
    "PmtInf": [
        "PmtInfId", "PmtMtd", "NbOfTxs", "CtrlSum", "ReqdExctnDt", "Dbtr", "DbtrAcct", "DbtrAgt", "CdtTrfTxInf+",
    ],
    "CdtTrfTxInf": ["PmtId", "Amt", "Cdtr", "CdtrAcct", "RmtInf"],
    "PmtId": ["EndToEndId"], "Amt": ["InstdAmt"], "RmtInf": ["Ustrd"], "ReqdExctnDt": ["Dt"],
    "InitgPty": ["Nm"], "Dbtr": ["Nm"], "Cdtr": ["Nm"], "DbtrAgt": ["FinInstnId"], "FinInstnId": ["Othr"],
    "DbtrAcct": ["Id"], "CdtrAcct": ["Id"], "Othr": ["Id"],
}  # fmt: skip
TEXT35, TEXT140 = r"(?s).{1,35}", r"(?s).{1,140}"
FACETS = {
    "MsgId": TEXT35, "PmtInfId": TEXT35, "EndToEndId": TEXT35, "Nm": TEXT140, "Ustrd": TEXT140, "PmtMtd": "TRF",
    "NbOfTxs": "[0-9]{1,15}", "CtrlSum": r"(?=.{1,19}$)[0-9]+(\.[0-9]{1,17})?", "Dt": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "InstdAmt": r"(?=.{1,19}$)[0-9]+(\.[0-9]{1,5})?", "Id": r"(?s).{1,34}",
    "IBAN": "[A-Z]{2}[0-9]{2}[a-zA-Z0-9]{1,30}",
    "CreDtTm": r"[0-9-]{10}T[0-9:]{8}(\.[0-9]+)?(Z|[+-][0-9:]{5})?",
}  # fmt: skip


def problem(element: ET.Element) -> str:
    """What is wrong with an element by the schema, nothing when it is valid."""
    name = element.tag.removeprefix(f"{{{NAMESPACE}}}")
    children = [child.tag.removeprefix(f"{{{NAMESPACE}}}") for child in element]
    currency = element.attrib.pop("Ccy", "") if name == "InstdAmt" else "CNY"
    if element.attrib or not re.fullmatch("[A-Z]{3}", currency):
        return f"attributes of {name}"
    if not children:
        return "" if re.fullmatch(FACETS.get(name, "(?!)"), element.text or "") else f"{name}: {element.text!r}"
    choice = name == "Id" and children in (["IBAN"], ["Othr"])
    wanted = "".join(f"({one.rstrip('+')} )" + "+" * one.endswith("+") for one in SEQUENCES.get(name, ["(?!)"]))
    if not choice and not re.fullmatch(wanted, "".join(f"{child} " for child in children)):
        return f"{name} has {children}"
    return next(filter(None, map(problem, element)), "")


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
    root = ET.fromstring(content)
    assert problem(ET.fromstring(content)) == ""
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
    assert problem(ET.fromstring(content)) == ""
    changed = content.replace(old, new).replace(b"</CdtrAcct>", b"</CdtrAcc>" if b"Acc>" in new else b"</CdtrAcct>")
    assert changed != content
    assert problem(ET.fromstring(changed))
