"""What settlement prints, in Chinese and English: the words of papers and workbooks, one table for both languages."""

import enum
from typing import Final


class Language(enum.StrEnum):
    """Language of a paper."""

    ZH = "zh"
    EN = "en"


_WORDS: Final[dict[str, tuple[str, str]]] = {
    "invoice": ("余款付款通知书", "Balance invoice"),
    "statement_seller": ("转让方结算单", "Statement of account: seller"),
    "statement_buyer": ("受让方结算单", "Statement of account: buyer"),
    "reconciliation": ("对账单", "Reconciliation"),
    "reference": ("付款编号", "Reference"),
    "package": ("资产包", "Package"),
    "seller": ("转让方", "Seller"),
    "buyer": ("受让方", "Buyer"),
    "opened_on": ("成交日期", "Awarded on"),
    "due_on": ("付款期限", "Due on"),
    "state": ("状态", "State"),
    "made_at": ("制作时间 (UTC)", "Made at (UTC)"),
    "item": ("项目", "Item"),
    "amount": ("金额", "Amount"),
    "price": ("成交价款", "Price"),
    "deposit": ("保证金抵扣", "Deposit applied"),
    "balance": ("应付余款", "Balance"),
    "received": ("已收余款", "Received"),
    "still_due": ("尚欠", "Still due"),
    "net": ("转让净价款", "Net proceeds"),
    "paid_out": ("已划付", "Paid out"),
    "in_payment": ("待划付", "In payment"),
    "case_count": ("案件笔数", "Cases"),
    "remittance_note": (
        "请在汇款附言中注明付款编号，多付部分将列为未达账项。",
        "State the reference in the remittance text; what is paid too much stays unapplied.",
    ),
    "summary": ("汇总", "Summary"),
    "bank_lines": ("银行流水", "Bank lines"),
    "ledger_entries": ("分录", "Ledger entries"),
    "funds_flow": ("资金划付表", "Funds flow"),
    "allocation": ("分摊明细", "Allocation"),
    "group": ("组", "Group"),
    "figure": ("口径", "Figure"),
    "source": ("数据来源", "Source"),
    "difference": ("差异", "Difference"),
    "agrees": ("核对一致", "Everything agrees"),
    "differs": ("存在差异", "There are differences"),
    "currency": ("币种", "Currency"),
    "date": ("日期", "Date"),
    "role": ("用途", "Role"),
    "counterparty": ("对方户名", "Counterparty"),
    "remittance": ("附言", "Remittance"),
    "line": ("流水号", "Line"),
    "part": ("归属本交易", "Part of this deal"),
    "entry": ("分录号", "Entry"),
    "kind": ("类型", "Kind"),
    "description": ("摘要", "Description"),
    "value_on": ("起息日", "Value date"),
    "payee": ("收款方", "Payee"),
    "case": ("案件编号", "Case"),
    "weight": ("权重（本息）", "Weight (principal + interest)"),
    "total": ("合计", "Total"),
    "role.deposit": ("保证金", "Deposit"),
    "role.balance": ("余款", "Balance"),
    "role.payout": ("划付", "Payout"),
    "group.price": ("成交价款", "Price"),
    "group.deductions": ("扣款", "Deductions"),
    "group.net": ("净价款", "Net"),
    "figure.award": ("成交确认", "Award"),
    "figure.bank_received": ("银行收款", "Received by the bank"),
    "figure.ledger_received": ("账簿收款", "Received by the ledger"),
    "figure.ledger_price": ("账簿价款", "Price in the ledger"),
    "figure.flow_gross": ("资金划付表总额", "Gross of the funds flow"),
    "figure.flow_deductions": ("资金划付表扣款", "Deductions of the funds flow"),
    "figure.recomputed_deductions": ("按费率重算扣款", "Deductions recomputed from the fee schedule"),
    "figure.ledger_fees": ("账簿扣款", "Deductions in the ledger"),
    "figure.flow_net": ("资金划付表净额", "Net of the funds flow"),
    "figure.recomputed_net": ("按费率重算净额", "Net recomputed from the fee schedule"),
    "figure.ledger_net": ("账簿应付转让方", "Owed to the seller by the ledger"),
    "figure.allocations": ("各案件分摊之和", "Sum of the allocations"),
    "figure.case_receipts": ("各案件回款之和", "Sum of the case receipts"),
    "figure.payout": ("银行划付与待划付", "Paid out by the bank and in payment"),
    "state.awaiting_payment": ("待付款", "awaiting payment"),
    "state.paid": ("已付款", "paid"),
    "state.signed": ("已签约", "contract signed"),
    "state.ready": ("待分配", "ready for distribution"),
    "state.distributed": ("已分配", "distributed"),
    "state.settled": ("已结清", "settled"),
}


def word(name: str, language: Language) -> str:
    """Return the word for `name`; an unknown name is a programming error (KeyError)."""
    return _WORDS[name][0 if language is Language.ZH else 1]
