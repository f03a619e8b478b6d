"""The demonstration's bank: statements of the operator's trust account, as camt.053 and as a Chinese bank's CSV."""

import csv
import io
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final
from xml.sax.saxutils import escape

ACCOUNT: Final = "CN1102001000000000123456"


@dataclass(frozen=True)
class Movement:
    """One booked line: amounts in yuan, positive for money in."""

    amount: Decimal
    reference: str
    remittance: str
    party: str
    party_account: str


def camt053(movements: list[Movement], *, number: str, day: date, opening: Decimal) -> bytes:
    """Return a camt.053.001.02 statement; opening plus movements is closing."""
    closing = opening + sum((movement.amount for movement in movements), Decimal(0))
    entries = "".join(_entry(movement, day) for movement in movements)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt>
<GrpHdr><MsgId>{number}</MsgId><CreDtTm>{day}T18:00:00</CreDtTm></GrpHdr>
<Stmt><Id>{number}</Id><ElctrncSeqNb>1</ElctrncSeqNb><CreDtTm>{day}T18:00:00</CreDtTm>
<Acct><Id><Othr><Id>{ACCOUNT}</Id></Othr></Id><Ccy>CNY</Ccy></Acct>
{_balance("OPBD", opening, day)}{_balance("CLBD", closing, day)}{entries}
</Stmt></BkToCstmrStmt></Document>
""".encode()


def _side(amount: Decimal) -> str:
    return "CRDT" if amount >= 0 else "DBIT"


def _balance(kind: str, amount: Decimal, day: date) -> str:
    return (
        f'<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp><Amt Ccy="CNY">{abs(amount):.2f}</Amt>'
        f"<CdtDbtInd>{_side(amount)}</CdtDbtInd><Dt><Dt>{day}</Dt></Dt></Bal>"
    )


def _entry(movement: Movement, day: date) -> str:
    side = _side(movement.amount)
    role = "Dbtr" if side == "CRDT" else "Cdtr"
    return (
        f'<Ntry><Amt Ccy="CNY">{abs(movement.amount):.2f}</Amt><CdtDbtInd>{side}</CdtDbtInd><Sts>BOOK</Sts>'
        f"<BookgDt><Dt>{day}</Dt></BookgDt><ValDt><Dt>{day}</Dt></ValDt>"
        f"<AcctSvcrRef>{movement.reference}</AcctSvcrRef><NtryDtls><TxDtls>"
        f"<Refs><AcctSvcrRef>{movement.reference}</AcctSvcrRef></Refs>"
        f"<RltdPties><{role}><Nm>{escape(movement.party)}</Nm></{role}>"
        f"<{role}Acct><Id><Othr><Id>{movement.party_account}</Id></Othr></Id></{role}Acct></RltdPties>"
        f"<RmtInf><Ustrd>{escape(movement.remittance)}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>\n"
    )


def chinese_csv(movements: list[Movement], *, day: date, opening: Decimal) -> bytes:
    """Return the same as a GB18030 file with the columns of a Chinese bank's export."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["交易日期", "借方金额", "贷方金额", "余额", "摘要", "对方户名", "对方账号", "流水号"])
    balance = opening
    for movement in movements:
        balance += movement.amount
        debit = f"{-movement.amount:.2f}" if movement.amount < 0 else ""
        credit = f"{movement.amount:.2f}" if movement.amount >= 0 else ""
        row = [day.isoformat(), debit, credit, f"{balance:.2f}", movement.remittance, movement.party]
        writer.writerow([*row, movement.party_account, movement.reference])
    return text.getvalue().encode("gb18030")
