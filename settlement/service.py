"""The door of settlement: what the console may ask. The work is in the files beside it, by subject."""

from settlement.bank import StatementView, get_statement, list_statements
from settlement.bank_accounts import list_bank_accounts
from settlement.card_models import CardPayment
from settlement.card_payments import payments_of
from settlement.deal_models import Allocation, Deal, DealDeduction, FeeSchedule
from settlement.deals import DealView, get_deal, list_deals, receive_payment, sign_contract, with_names
from settlement.deposits import DepositStatus, list_deposits
from settlement.domain.deal import DealState, Party
from settlement.domain.orders import PaymentOrderState, PaymentPurpose
from settlement.exceptions import LineFilter, list_lines
from settlement.instalment_models import DealInstalment
from settlement.instalments import list_instalments
from settlement.ledger import balance, balances
from settlement.matches import LineView
from settlement.models import BankAccount, BankStatement, Entry, PaymentOrder, StatementLine
from settlement.papers import invoice, reconciliation_pdf, reconciliation_xlsx, statement
from settlement.payments import list_orders, require_order
from settlement.payouts import CaseShare, deductions_of, distribute_deal, list_allocations, show_flow
from settlement.reconciliation import BankCheck, Reconciliation, bank_checks, reconcile, reconcile_all
from settlement.trail import LineCase, MoneyTrail, TrailDeal, cases_of_line, money_trail
from settlement.words import Language

__all__ = [
    "Allocation",
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
    "DepositStatus",
    "Entry",
    "FeeSchedule",
    "Language",
    "LineCase",
    "LineFilter",
    "LineView",
    "MoneyTrail",
    "Party",
    "PaymentOrder",
    "PaymentOrderState",
    "PaymentPurpose",
    "Reconciliation",
    "StatementLine",
    "StatementView",
    "TrailDeal",
    "balance",
    "balances",
    "bank_checks",
    "cases_of_line",
    "deductions_of",
    "distribute_deal",
    "get_deal",
    "get_statement",
    "invoice",
    "list_allocations",
    "list_bank_accounts",
    "list_deals",
    "list_deposits",
    "list_instalments",
    "list_lines",
    "list_orders",
    "list_statements",
    "money_trail",
    "payments_of",
    "receive_payment",
    "reconcile",
    "reconcile_all",
    "reconciliation_pdf",
    "reconciliation_xlsx",
    "require_order",
    "show_flow",
    "sign_contract",
    "statement",
    "with_names",
]
