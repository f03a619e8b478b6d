"""The door of settlement: what the console may ask. The work is in the files beside it, by subject."""

from settlement import assignment_notices
from settlement.bank import StatementView, get_statement, list_statements
from settlement.bank_accounts import list_bank_accounts
from settlement.bank_models import MatchProposal, ReleaseAlert
from settlement.card_models import CardPayment
from settlement.card_payments import payments_of
from settlement.closing_models import AssignmentNotice
from settlement.deal_models import Allocation, Deal, DealDeduction, FeeSchedule
from settlement.deals import DealView, get_deal, list_deals, receive_payment, sign_contract, with_names
from settlement.deciding import decide, match_line
from settlement.deposit_life import ReleaseDue, list_alerts, releases_due
from settlement.deposits import DepositStatus, list_deposits
from settlement.domain.assignment import DeliveryChannel, NoticeState
from settlement.domain.deal import DealState, Party
from settlement.domain.matching import Finding
from settlement.domain.orders import PaymentOrderState, PaymentPurpose
from settlement.exceptions import LineFilter, list_lines
from settlement.instalment_models import DealInstalment
from settlement.instalments import list_instalments
from settlement.ledger import balance, balances
from settlement.matches import LineView, refund_line
from settlement.models import BankAccount, BankStatement, Entry, PaymentOrder, StatementLine
from settlement.papers import invoice, reconciliation_pdf, reconciliation_xlsx, statement
from settlement.payer_documents import keep_document
from settlement.payments import list_orders, require_order
from settlement.payouts import CaseShare, deductions_of, distribute_deal, list_allocations, show_flow
from settlement.reconciliation import BankCheck, Reconciliation, bank_checks, reconcile, reconcile_all
from settlement.trail import LineCase, MoneyTrail, TrailDeal, cases_of_line, money_trail
from settlement.words import Language

__all__ = [
    "Allocation",
    "AssignmentNotice",
    "BankAccount",
    "BankCheck",
    "BankStatement",
    "CardPayment",
    "CaseShare",
    "Deal",
    "DealDeduction",
    "DealInstalment",
    "DealState",
    "DealView",
    "DeliveryChannel",
    "DepositStatus",
    "Entry",
    "FeeSchedule",
    "Finding",
    "Language",
    "LineCase",
    "LineFilter",
    "LineView",
    "MatchProposal",
    "MoneyTrail",
    "NoticeState",
    "Party",
    "PaymentOrder",
    "PaymentOrderState",
    "PaymentPurpose",
    "Reconciliation",
    "ReleaseAlert",
    "ReleaseDue",
    "StatementLine",
    "StatementView",
    "TrailDeal",
    "assignment_notices",
    "balance",
    "balances",
    "bank_checks",
    "cases_of_line",
    "decide",
    "deductions_of",
    "distribute_deal",
    "get_deal",
    "get_statement",
    "invoice",
    "keep_document",
    "list_alerts",
    "list_allocations",
    "list_bank_accounts",
    "list_deals",
    "list_deposits",
    "list_instalments",
    "list_lines",
    "list_orders",
    "list_statements",
    "match_line",
    "money_trail",
    "payments_of",
    "receive_payment",
    "reconcile",
    "reconcile_all",
    "reconciliation_pdf",
    "reconciliation_xlsx",
    "refund_line",
    "releases_due",
    "require_order",
    "show_flow",
    "sign_contract",
    "statement",
    "with_names",
]
