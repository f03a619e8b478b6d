"""The door of collection: what routes and later stages may ask. The work is in the files beside it, by subject."""

from collection.application import application_orders, save_application_order
from collection.classifying import LevelShown, ask_classify, case_levels, classify_cases, level_rules, save_level_rule
from collection.contacts import contact_records, record_contact, record_delivery, record_outcome, refusal
from collection.domain.contact import Channel
from collection.receipts import (
    proceeds_total,
    receipts_of,
    record_meanwhile,
    record_proceeds,
    record_repayment,
    reverse_receipt,
)

__all__ = [
    "Channel",
    "LevelShown",
    "application_orders",
    "ask_classify",
    "case_levels",
    "classify_cases",
    "contact_records",
    "level_rules",
    "proceeds_total",
    "receipts_of",
    "record_contact",
    "record_delivery",
    "record_meanwhile",
    "record_outcome",
    "record_proceeds",
    "record_repayment",
    "refusal",
    "reverse_receipt",
    "save_application_order",
    "save_level_rule",
]
