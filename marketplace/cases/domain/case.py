"""What a case is: its states, the closed lists that describe it, and the states of the tape that brings it."""

import enum
from typing import Final

from marketplace.lifecycle import Lifecycle


class CaseState(enum.StrEnum):
    """Where a case stands on its way from tape to archive."""

    OPEN = "open"
    BUNDLED = "bundled"
    SOLD = "sold"
    ARCHIVED = "archived"
    WITHDRAWN = "withdrawn"


CASE: Final = Lifecycle(
    "Case",
    CaseState.OPEN,
    [
        (CaseState.OPEN, "bundle", CaseState.BUNDLED),
        (CaseState.BUNDLED, "release", CaseState.OPEN),
        (CaseState.BUNDLED, "sell", CaseState.SOLD),
        (CaseState.SOLD, "return", CaseState.OPEN),
        (CaseState.SOLD, "archive", CaseState.ARCHIVED),
        (CaseState.OPEN, "withdraw", CaseState.WITHDRAWN),
    ],
)


class TapeState(enum.StrEnum):
    """Where the import of a file stands."""

    RECEIVED = "received"
    IMPORTING = "importing"
    IMPORTED = "imported"
    REFUSED = "refused"


TAPE: Final = Lifecycle(
    "Tape",
    TapeState.RECEIVED,
    [
        (TapeState.RECEIVED, "start", TapeState.IMPORTING),
        (TapeState.IMPORTING, "finish", TapeState.IMPORTED),
        (TapeState.IMPORTING, "refuse", TapeState.REFUSED),
    ],
)


class OnError(enum.StrEnum):
    """What happens to a file with faulty rows."""

    KEEP_GOOD = "keep_good"
    REFUSE_ALL = "refuse_all"


class CustomerType(enum.StrEnum):
    """What a borrower is."""

    PERSON = "person"
    COMPANY = "company"


class Grade(enum.StrEnum):
    """Five-class grade (五级分类)."""

    NORMAL = "normal"
    SPECIAL_MENTION = "special_mention"
    SUBSTANDARD = "substandard"
    DOUBTFUL = "doubtful"
    LOSS = "loss"


class Security(enum.StrEnum):
    """What secures a case, by its strongest security (担保方式)."""

    UNSECURED = "unsecured"
    GUARANTEED = "guaranteed"
    PLEDGED = "pledged"
    MORTGAGED = "mortgaged"


class Litigation(enum.StrEnum):
    """Litigation states of Chinese announcements (`rules.md`, Packages and tapes)."""

    NOT_SUED = "not_sued"
    IN_LITIGATION = "in_litigation"
    SUED = "sued"
    IN_ARBITRATION = "in_arbitration"
    ARBITRATED = "arbitrated"
    JUDGED_NOT_ENFORCED = "judged_not_enforced"
    IN_ENFORCEMENT = "in_enforcement"
    ENFORCEMENT_WITHDRAWN = "enforcement_withdrawn"
    ENFORCEMENT_SUSPENDED = "enforcement_suspended"
    ENFORCEMENT_ENDED = "enforcement_ended"
    ENFORCEMENT_ENDED_THIS_TIME = "enforcement_ended_this_time"
    SETTLED = "settled"
    OTHER = "other"


class ObligorRole(enum.StrEnum):
    """Why somebody owes."""

    BORROWER = "borrower"
    GUARANTOR = "guarantor"


class IdentityKind(enum.StrEnum):
    """What an identity number is."""

    RESIDENT_ID = "resident_id"
    COMPANY_CODE = "company_code"
    OTHER = "other"
    NONE = "none"


class Sex(enum.StrEnum):
    """As the resident identity number says."""

    MALE = "male"
    FEMALE = "female"


CHINESE: Final[dict[enum.StrEnum, str]] = {
    Grade.NORMAL: "正常",
    Grade.SPECIAL_MENTION: "关注",
    Grade.SUBSTANDARD: "次级",
    Grade.DOUBTFUL: "可疑",
    Grade.LOSS: "损失",
    Security.UNSECURED: "信用",
    Security.GUARANTEED: "保证",
    Security.PLEDGED: "质押",
    Security.MORTGAGED: "抵押",
    Litigation.NOT_SUED: "未诉",
    Litigation.IN_LITIGATION: "诉讼中",
    Litigation.SUED: "已诉讼",
    Litigation.IN_ARBITRATION: "仲裁中",
    Litigation.ARBITRATED: "已仲裁",
    Litigation.JUDGED_NOT_ENFORCED: "已判未执",
    Litigation.IN_ENFORCEMENT: "执行中",
    Litigation.ENFORCEMENT_WITHDRAWN: "撤回执行",
    Litigation.ENFORCEMENT_SUSPENDED: "执行中止",
    Litigation.ENFORCEMENT_ENDED: "终结执行",
    Litigation.ENFORCEMENT_ENDED_THIS_TIME: "终本执行",
    Litigation.SETTLED: "已调解",
    Litigation.OTHER: "其他",
    CustomerType.PERSON: "个人",
    CustomerType.COMPANY: "企业",
}
"""How the Chinese market writes these values; the tape reader takes them and the announcements print them."""
