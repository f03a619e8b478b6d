"""Payment orders as an ISO 20022 credit transfer initiation (pain.001.001.09), for upload to the bank. Pure.

One payment information block for each of our accounts; the orders' own references are the end-to-end ids by which the
bank's statement names them again. A clearing code of the payee's bank is left to the bank.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from stdnum import iban

from marketplace.clock import format_instant
from marketplace.money import Money

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
_NAME: Final = 140
_REMITTANCE: Final = 140
_ACCOUNT: Final = 34
_UNWRITABLE: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML document can hold."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """One payment: its reference, who receives it where, and what the payee reads."""

    reference: str
    amount: Money
    payee_name: str
    payee_account: str
    remittance: str


@dataclass(frozen=True, slots=True)
class TransferBatch:
    """Payments from one account of ours, all in its currency."""

    account: str
    transfers: Sequence[Transfer]


def write_pain001(batches: Sequence[TransferBatch], *, message_id: str, initiator: str, at: datetime) -> bytes:
    """Return the message in UTF-8; the same batches, id and instant give the same bytes. At least one transfer."""
    root = Element("Document", xmlns=NAMESPACE)
    message = SubElement(root, "CstmrCdtTrfInitn")
    header = SubElement(message, "GrpHdr")
    _text(header, "MsgId", message_id)
    _text(header, "CreDtTm", format_instant(at))
    _text(header, "NbOfTxs", str(sum(len(batch.transfers) for batch in batches)))
    _text(SubElement(header, "InitgPty"), "Nm", initiator[:_NAME])
    for number, batch in enumerate(batches, start=1):
        _batch(message, batch, block_id=f"{message_id}-{number}", initiator=initiator, at=at)
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def _batch(message: Element, batch: TransferBatch, *, block_id: str, initiator: str, at: datetime) -> None:
    block = SubElement(message, "PmtInf")
    _text(block, "PmtInfId", block_id)
    _text(block, "PmtMtd", "TRF")
    _text(block, "NbOfTxs", str(len(batch.transfers)))
    total = Money(sum(transfer.amount.minor for transfer in batch.transfers), batch.transfers[0].amount.currency)
    _text(block, "CtrlSum", total.text)
    _text(SubElement(block, "ReqdExctnDt"), "Dt", at.date().isoformat())
    _text(SubElement(block, "Dbtr"), "Nm", initiator[:_NAME])
    _account(block, "DbtrAcct", batch.account)
    _text(SubElement(SubElement(SubElement(block, "DbtrAgt"), "FinInstnId"), "Othr"), "Id", "NOTPROVIDED")
    for transfer in batch.transfers:
        _transfer(block, transfer)


def _transfer(block: Element, transfer: Transfer) -> None:
    element = SubElement(block, "CdtTrfTxInf")
    _text(SubElement(element, "PmtId"), "EndToEndId", transfer.reference)
    amount = _text(SubElement(element, "Amt"), "InstdAmt", transfer.amount.text)
    amount.set("Ccy", transfer.amount.currency)
    _text(SubElement(element, "Cdtr"), "Nm", transfer.payee_name[:_NAME])
    _account(element, "CdtrAcct", transfer.payee_account)
    _text(SubElement(element, "RmtInf"), "Ustrd", f"{transfer.reference} {transfer.remittance}"[:_REMITTANCE].strip())


def _account(parent: Element, name: str, number: str) -> None:
    identification = SubElement(SubElement(parent, name), "Id")
    if iban.is_valid(number):
        _text(identification, "IBAN", iban.compact(number))
    else:
        _text(SubElement(identification, "Othr"), "Id", "".join(number.split())[:_ACCOUNT])


def _text(parent: Element, name: str, value: str) -> Element:
    element = SubElement(parent, name)
    element.text = _UNWRITABLE.sub(" ", value)
    return element
