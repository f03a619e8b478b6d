"""The words of the market on a page: what a state, role or kind is called; marked here, translated when drawn."""

import enum
from typing import Final

from console import display, language, strata
from console.language import mark
from settlement import words as settlement_words

WORDS: Final[dict[str, dict[str, str]]] = {
    "role": {
        "seller_manager": mark("Seller's manager"),
        "seller_agent": mark("Seller's agent"),
        "buyer_bidder": mark("Bidder"),
        "buyer_analyst": mark("Analyst"),
        "valuer_appraiser": mark("Appraiser"),
        "operator_admin": mark("Administrator"),
        "operator_finance": mark("Finance"),
        "operator_compliance": mark("Compliance"),
        "auditor": mark("Auditor"),
    },
    "kind": {
        "operator": mark("Operator"),
        "seller": mark("Seller"),
        "buyer": mark("Buyer"),
        "valuer": mark("Valuer"),
        "auditor": mark("Auditor"),
    },
    "live": {
        "scheduled": mark("Not yet open"),
        "open": mark("Open for bids"),
        "suspended": mark("Bidding is suspended"),
        "ended": mark("Bidding is over"),
        "sold": mark("Sold"),
        "unsold": mark("Not sold"),
        "withdrawn": mark("Withdrawn"),
    },
    "listing": {
        "draft": mark("Draft"),
        "published": mark("Published"),
        "closed": mark("Closed"),
        "withdrawn": mark("Withdrawn"),
    },
    "registration": {
        "applied": mark("Applied"),
        "approved": mark("Approved"),
        "refused": mark("Refused"),
        "withdrawn": mark("Withdrawn"),
    },
    "award": {
        "waiting": mark("Waiting in reserve"),
        "pending": mark("Contract to be signed"),
        "protocol_confirmed": mark("Protocol confirmed, contract to be signed"),
        "contracted": mark("Contract signed"),
        "failed": mark("Failed"),
        "released": mark("Released"),
    },
    "format": {
        "english": mark("Open ascending bids; the highest wins if it reaches the reserve"),
        "proxy": mark("Bids by maximum; the market bids for each bidder as far as needed"),
        "two_phase": mark("Free bidding, then delay cycles; a cycle without a bid ends it"),
        "sealed_first_price": mark("Sealed bids; the highest pays what it bid"),
        "sealed_second_price": mark("Sealed bids; the highest pays the second price"),
        "dutch": mark("Falling prices; the first who accepts has it"),
        "hybrid_dutch": mark("Falling prices, then sealed bids, then a best bid of the first taker"),
        "gong": mark("Rounds at rising prices; a round that nobody takes ends it"),
        "package": mark("Sealed bids on sets of lots; the set of bids that brings most wins"),
    },
    "lot": {
        "draft": mark("Draft"),
        "open": mark("Offered"),
        "awarded": mark("Awarded"),
        "sold": mark("Sold"),
        "defaulted": mark("Award failed"),
        "unsold": mark("No buyer"),
        "relisted": mark("Offered again"),
        "withdrawn": mark("Withdrawn"),
    },
    "attempt": {
        "bid": mark("Bid"),
        "maximum": mark("Maximum"),
        "accept": mark("Acceptance of the price"),
        "withdraw": mark("Withdrawal"),
    },
    "refusal": {
        "suspended": mark("The auction was suspended"),
        "not_open": mark("Bidding had not opened"),
        "late": mark("It came at the end or after it"),
        "voided": mark("The bidder had been removed"),
        "wrong_phase": mark("Not taken in this phase"),
        "taken": mark("Somebody had taken it"),
        "not_eligible": mark("Not this bidder's turn"),
        "no_such_lot": mark("There is no such lot"),
        "nothing_to_withdraw": mark("There was no bid to withdraw"),
        "already_leading": mark("It led already"),
        "maximum_not_raised": mark("Not above its own maximum"),
        "below_start": mark("Below the start price"),
        "below_minimum": mark("Below the least next bid"),
        "below_lot_reserves": mark("Below the least prices of its lots"),
        "off_grid": mark("Between two steps of the price"),
        "price_changed": mark("The price had changed"),
        "too_fast": mark("Too soon after its last attempt"),
        "confirmation_required": mark("Far above what is needed, not confirmed"),
        "idempotency_key_reused": mark("Its key belongs to another attempt"),
        "not_approved": mark("The registration was not approved"),
        "deposit_not_held": mark("The deposit was not held in full"),
        "licence_not_in_force": mark("No licence was in force"),
        "agreement_not_in_force": mark("The confidentiality agreement was not in force"),
        "no_resale_not_undertaken": mark("Without the undertaking not to resell"),
        "outside_province": mark("Outside its province"),
        "conflict_of_interest": mark("A conflict of interest"),
        "barred_after_default": mark("Barred after a default"),
    },
    "check": {
        "auction": mark("Of this auction"),
        "key": mark("Key"),
        "signature": mark("Signature"),
        "log": mark("Place in the log"),
    },
    "found": {
        "right": mark("right"),
        "wrong": mark("wrong"),
        "not_in_log": mark("refused: no entry of the log"),
        "later": mark("after the opening"),
        "skipped": mark("not asked"),
    },
    "notice": {
        "written": mark("Written"),
        "sent": mark("Sent"),
        "delivered": mark("Delivered"),
        "returned": mark("Came back"),
    },
    "channel": {
        "registered_mail": mark("Registered mail"),
        "courier": mark("Courier"),
        "in_person": mark("In person"),
        "notary": mark("Notary"),
        "newspaper": mark("Newspaper"),
        "electronic": mark("Electronically"),
    },
    "appraisal": {
        "requested": mark("Asked for"),
        "engaged": mark("Taken on, independence declared"),
        "submitted": mark("Submitted"),
        "accepted": mark("Accepted by the seller"),
        "rejected": mark("Not accepted"),
        "declined": mark("Declined"),
    },
    "holder": {
        "seller": mark("Seller"),
        "operator": mark("Operator"),
        "auditor": mark("Auditor"),
    },
    "step": {
        "protocol": mark("Protocol"),
        "contract": mark("Contract"),
    },
    "package": {
        "draft": mark("Draft"),
        "frozen": mark("Frozen"),
        "listed": mark("Listed"),
        "sold": mark("Sold"),
        "cancelled": mark("Cancelled"),
    },
    "job": {
        "waiting": mark("Waiting for a worker"),
        "running": mark("At work"),
        "done": mark("Done"),
        "failed": mark("Not done"),
    },
    "job_name": {
        "cases.import_tape": mark("Taking in a tape"),
        "packages.freeze": mark("Freezing a package"),
        "collection.classify": mark("Classifying cases"),
        "settlement.import_statement": mark("Taking in a bank statement"),
    },
    "job_note": {
        "locked": mark("cases held"),
        "taken": mark("figures of the cases taken"),
        "bundled": mark("cases bundled"),
        "figures": mark("header, strata and tape written"),
        "classified": mark("cases classified"),
    },
    "deal": {
        "awaiting_payment": mark("Awaiting payment"),
        "paid": mark("Paid, contract to be signed"),
        "signed": mark("Signed, awaiting payment"),
        "ready": mark("Paid and signed"),
        "distributed": mark("Price distributed"),
        "settled": mark("Settled"),
    },
    "card_payment": {
        "requested": mark("Being prepared"),
        "open": mark("Open for your card"),
        "received": mark("Charged"),
        "cancelled": mark("Cancelled"),
        "refused": mark("Refused by the card company"),
    },
    "room": {
        "draft": mark("Being prepared"),
        "open": mark("Open"),
        "closed": mark("Closed"),
    },
    "payee": {
        "operator": mark("Operator"),
        "tax": mark("Tax office"),
    },
    "deduction": {
        "commission": mark("Commission"),
        "VAT on commission": mark("VAT on the commission"),
    },
    "line_role": {
        "deposit": mark("Winner's deposit"),
        "balance": mark("Balance of the price"),
        "payout": mark("Payout to the seller"),
    },
    "entry": {
        "deal.opened": mark("Price owed"),
        "deposit.applied": mark("Deposit counted toward the price"),
        "deal.payment_received": mark("Balance received"),
        "deal.distributed": mark("Price distributed"),
        "deal.instalment_distributed": mark("Instalment distributed"),
        "deal.shortfall_let_go": mark("Shortfall let go"),
    },
    "grade": {
        "normal": mark("Normal"),
        "special_mention": mark("Special mention"),
        "substandard": mark("Substandard"),
        "doubtful": mark("Doubtful"),
        "loss": mark("Loss"),
        "not_graded": mark("Not graded"),
    },
    "written_off": {
        "written_off": mark("Written off"),
        "not_written_off": mark("Not written off"),
    },
    "security": {
        "unsecured": mark("Unsecured"),
        "guaranteed": mark("Guaranteed"),
        "pledged": mark("Pledged"),
        "mortgaged": mark("Mortgaged"),
    },
    "litigation": {
        "not_sued": mark("Not sued"),
        "in_litigation": mark("In litigation"),
        "sued": mark("Sued"),
        "in_arbitration": mark("In arbitration"),
        "arbitrated": mark("Arbitrated"),
        "judged_not_enforced": mark("Judged, not enforced"),
        "in_enforcement": mark("In enforcement"),
        "enforcement_withdrawn": mark("Enforcement withdrawn"),
        "enforcement_suspended": mark("Enforcement suspended"),
        "enforcement_ended": mark("Enforcement ended"),
        "enforcement_ended_this_time": mark("Enforcement ended for this time"),
        "settled": mark("Settled by mediation"),
        "other": mark("Other"),
    },
    "dimension": {
        "security": mark("By security"),
        "days_past_due": mark("By days past due"),
        "litigation": mark("By legal stage"),
        "size": mark("By size of loan"),
        "province": mark("By region"),
    },
    "province": {
        "北京": mark("Beijing"),
        "天津": mark("Tianjin"),
        "河北": mark("Hebei"),
        "山西": mark("Shanxi"),
        "内蒙古": mark("Inner Mongolia"),
        "辽宁": mark("Liaoning"),
        "吉林": mark("Jilin"),
        "黑龙江": mark("Heilongjiang"),
        "上海": mark("Shanghai"),
        "江苏": mark("Jiangsu"),
        "浙江": mark("Zhejiang"),
        "安徽": mark("Anhui"),
        "福建": mark("Fujian"),
        "江西": mark("Jiangxi"),
        "山东": mark("Shandong"),
        "河南": mark("Henan"),
        "湖北": mark("Hubei"),
        "湖南": mark("Hunan"),
        "广东": mark("Guangdong"),
        "广西": mark("Guangxi"),
        "海南": mark("Hainan"),
        "重庆": mark("Chongqing"),
        "四川": mark("Sichuan"),
        "贵州": mark("Guizhou"),
        "云南": mark("Yunnan"),
        "西藏": mark("Tibet"),
        "陕西": mark("Shaanxi"),
        "甘肃": mark("Gansu"),
        "青海": mark("Qinghai"),
        "宁夏": mark("Ningxia"),
        "新疆": mark("Xinjiang"),
        "台湾": mark("Taiwan"),
        "香港": mark("Hong Kong"),
        "澳门": mark("Macau"),
        "unknown": mark("Unknown"),
    },
}
"""By subject and value."""


def word(subject: str, value: enum.StrEnum | str) -> str:
    """Return what a value is called, in the reader's language; a value without a word is shown as it is."""
    text = WORDS[subject].get(str(value))
    return language.gettext(text) if text else str(value)


def settled(name: str) -> str:
    """Return the word by which the papers of settlement call a figure, in the reader's language."""
    return settlement_words.word(name, settlement_words.Language(language.chosen()))


_TONES: Final[dict[str, dict[str, str]]] = {
    "live": {"open": "good", "ended": "warn", "sold": "good", "unsold": "bad", "withdrawn": "bad"},
    "listing": {"published": "good", "withdrawn": "bad"},
    "registration": {"applied": "warn", "approved": "good", "refused": "bad"},
    "award": {"pending": "warn", "contracted": "good", "failed": "bad"},
    "package": {"listed": "good", "cancelled": "bad"},
    "deal": {"awaiting_payment": "warn", "paid": "warn", "signed": "warn", "ready": "good", "settled": "good"},
    "card_payment": {"open": "warn", "received": "good", "refused": "bad"},
    "job": {"running": "warn", "done": "good", "failed": "bad"},
    "room": {"open": "good"},
    "notice": {"written": "warn", "delivered": "good", "returned": "bad"},
    "appraisal": {"requested": "warn", "engaged": "warn", "accepted": "good", "rejected": "bad"},
    "found": {"right": "good", "wrong": "bad", "later": "warn"},
}
"""Which states are good, need attention or are bad; the others have no tone. The word always says it too."""


def tone(subject: str, value: enum.StrEnum | str) -> str:
    """Return the tone of a state: `good`, `warn`, `bad` or none."""
    return _TONES.get(subject, {}).get(str(value), "")


def stratum(dimension: str, value: str) -> str:
    """Return what a cell of a dimension is called: a word, or a band with thousands and its unit."""
    if value == strata.FOLDED:
        return language.gettext("Others, in groups too small to show")
    if dimension == "days_past_due":
        return _band(value, language.gettext("%s days"), language.gettext("%s days or more"))
    return _band(value, "%s", language.gettext("%s or more")) if dimension == "size" else word(dimension, value)


def _band(value: str, closed: str, unbounded: str) -> str:
    lower, dash, upper = value.partition("-")
    if dash and not upper:
        return unbounded % display.count(int(lower))
    return closed % "–".join(display.count(int(limit)) for limit in (lower, upper) if limit)
