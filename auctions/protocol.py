"""The protocol of a closed auction as PDF, in Chinese or English: what the bundle says, for people.

The same rows give the same bytes. Bidders appear under their codes; the hash of the bundle of the same moment is
printed, so that paper and file belong together.
"""

import enum
import hashlib
import io
import uuid
from collections.abc import Sequence
from typing import Any, Final
from xml.sax.saxutils import escape

from reportlab.lib import colors, pagesizes, units
from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle
from sqlalchemy.orm import Session

from auctions import evidence
from auctions.evidence import Evidence
from marketplace import fonts
from marketplace.actor import Actor
from marketplace.crypto import Vault

MEDIA_TYPE: Final = "application/pdf"
MAX_EVENTS: Final = 2000
"""So many events are printed; the bundle has all of them, and the paper says so."""

_AWARD: Final = ("bidder", "amount", "lots", "state")
_EVENT: Final = ("number", "at", "kind", "bidder", "amount", "ends_after")
_WIDTHS: Final = (12, 46, 22, 24, 36, 38)


class ProtocolLanguage(enum.StrEnum):
    """Language of a protocol."""

    ZH = "zh"
    EN = "en"


_WORDS: Final[dict[str, tuple[str, str]]] = {
    "title": ("竞价结果确认书", "Protocol of an auction"),
    "auction": ("竞价编号", "Auction"),
    "format": ("竞价方式", "Format"),
    "opens": ("开始时间 (UTC)", "Opened at (UTC)"),
    "ends": ("结束时间 (UTC)", "Ended at (UTC)"),
    "outcome": ("结果", "Outcome"),
    "sold": ("成交", "Sold"),
    "unsold": ("流拍", "Not sold"),
    "price": ("价格", "Price"),
    "winner": ("受让方代码", "Winner"),
    "reserve": ("保留价", "Reserve"),
    "none": ("无", "none"),
    "commitment": ("保留价承诺值", "Commitment of the reserve"),
    "salt": ("承诺随机数", "Salt of the commitment"),
    "rules_hash": ("规则哈希", "Hash of the rules"),
    "log_hash": ("日志哈希", "Hash of the log"),
    "head": ("哈希链末值", "Head of the chain"),
    "keys": ("签名公钥编号", "Signing keys"),
    "bundle": ("证据包 SHA-256", "SHA-256 of the bundle"),
    "awards": ("结果顺位", "Awards"),
    "bidder": ("竞买人代码", "Bidder"),
    "amount": ("金额", "Amount"),
    "lots": ("标的", "Lots"),
    "state": ("状态", "State"),
    "pending": ("待签约", "to sign"),
    "waiting": ("候补", "waiting"),
    "protocol_confirmed": ("已确认", "protocol confirmed"),
    "contracted": ("已签约", "contracted"),
    "failed": ("未履约", "failed"),
    "released": ("已解除", "released"),
    "events": ("竞价记录", "Events"),
    "number": ("序号", "No."),
    "at": ("时间 (UTC)", "Time (UTC)"),
    "kind": ("类别", "Kind"),
    "ends_after": ("其后结束时间", "End after it"),
    "bid": ("出价", "bid"),
    "maximum": ("委托最高价", "maximum"),
    "accept": ("应价", "accept"),
    "withdraw": ("撤回", "withdraw"),
    "suspend": ("中止", "suspended"),
    "resume": ("恢复", "resumed"),
    "void": ("作废", "voided"),
    "solver": ("组合最优解", "Winner determination"),
    "solver_result": ("求解器结果", "Solver"),
    "recheck": ("独立复核结果", "Independent recheck"),
    "cut": ("仅列示前 {count} 条，完整记录见证据包。", "The first {count} events; the bundle has all of them."),
    "note": (
        "任何人可用 python -m auctions verify 离线核验证据包。",
        "Anyone can check the bundle offline: python -m auctions verify BUNDLE.",
    ),
}


def make_protocol(
    session: Session, *, auction_id: uuid.UUID, language: ProtocolLanguage, vault: Vault, actor: Actor
) -> bytes:
    """Return the protocol of a closed auction; raise `NotFound`, `ResultPending`, as the bundle does."""
    gathered = evidence.gather(session, auction_id=auction_id, actor=actor)
    content = evidence.make_bundle(session, auction_id=auction_id, vault=vault, actor=actor)
    return render(gathered, bundle_hash=hashlib.sha256(content).hexdigest(), language=language)


def render(gathered: Evidence, *, bundle_hash: str, language: ProtocolLanguage) -> bytes:
    """Set the protocol of evidence."""
    setter = _Setter(language)
    members = gathered.members
    story: list[Flowable] = [setter.heading("title"), setter.facts(_facts(setter, gathered, bundle_hash))]
    awards = [_award(setter, row) for row in members["awards.json"]]
    if awards:
        story += [setter.heading("awards"), setter.table(_AWARD, awards, (40, 40, 58, 40))]
    if "solver.json" in members:
        story += [setter.heading("solver"), setter.facts(_solver(setter, members["solver.json"]))]
    events = members["replay.json"]["events"]
    answers = members["result.json"]["answers"]
    rows = [_event(setter, number, *pair) for number, pair in enumerate(zip(events, answers, strict=True), 1)]
    story += [setter.heading("events"), setter.table(_EVENT, rows[:MAX_EVENTS], _WIDTHS)]
    if len(rows) > MAX_EVENTS:
        story.append(setter.text(setter.word("cut").format(count=MAX_EVENTS)))
    story += [Spacer(1, 4 * units.mm), setter.text(setter.word("note"))]
    out = io.BytesIO()
    margins: dict[str, Any] = dict.fromkeys(("leftMargin", "rightMargin", "topMargin", "bottomMargin"), 16 * units.mm)
    SimpleDocTemplate(out, pagesize=pagesizes.A4, title=setter.word("title"), invariant=1, **margins).build(story)
    return out.getvalue()


def _facts(setter: "_Setter", gathered: Evidence, bundle_hash: str) -> list[tuple[str, str]]:
    members = gathered.members
    auction, rules, reserve, result = (members[f"{name}.json"] for name in ("auction", "rules", "reserve", "result"))
    none = setter.word("none")
    price = none if result["price"] is None else f"{result['price']} {rules['currency']}"
    committed = none if reserve["reserve_price"] is None else f"{reserve['reserve_price']} {rules['currency']}"
    values = {
        "auction": auction["auction_id"],
        "format": rules["format"],
        "opens": rules["opens_at"],
        "ends": result["ends_at"],
        "outcome": setter.word(auction["outcome"]),
        "winner": result["winner"] or none,
        "price": price,
        "reserve": committed,
        "commitment": auction["reserve_commitment"],
        "salt": reserve["salt"],
        "rules_hash": auction["rules_hash"],
        "log_hash": auction["log_hash"],
        "head": auction["head"],
        "keys": ", ".join(row["key_id"] for row in members["keys.json"]),
        "bundle": bundle_hash,
    }
    return [(setter.word(name), str(value)) for name, value in values.items()]


def _award(setter: "_Setter", row: dict[str, Any]) -> tuple[str, ...]:
    return row["bidder"], row["price"], ", ".join(row.get("lots", ())), setter.word(row["state"])


def _event(setter: "_Setter", number: int, event: dict[str, Any], answer: dict[str, Any]) -> tuple[str, ...]:
    kind = setter.word(event["kind"])
    return (
        str(number),
        event["at"],
        kind if answer["accepted"] else f"{kind} ({answer['code']})",
        event.get("bidder", ""),
        " ".join([event.get("amount", ""), *event.get("lots", ())]).strip(),
        answer.get("ends_at", ""),
    )


def _solver(setter: "_Setter", solver: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [("solver_result", solver["solver"]), ("recheck", solver["recheck"])]
    return [(setter.word(name), setter.word("none") if value is None else _shown(value)) for name, value in rows]


def _shown(value: dict[str, Any]) -> str:
    return "; ".join(f"{name}: {found}" for name, found in value.items())


class _Setter:
    """Sets words, facts and tables in one language."""

    def __init__(self, language: ProtocolLanguage) -> None:
        font = fonts.register()
        self._column = 0 if language is ProtocolLanguage.ZH else 1
        self._font = font
        self._plain = ParagraphStyle("plain", fontName=font, fontSize=8, leading=11, wordWrap="CJK")
        self._heading = ParagraphStyle("heading", parent=self._plain, fontSize=14, leading=20, spaceBefore=8)

    def word(self, name: str) -> str:
        """Return a word of the protocol."""
        return _WORDS[name][self._column]

    def text(self, text: str) -> Flowable:
        """Return a paragraph."""
        return Paragraph(escape(text), self._plain)

    def heading(self, name: str) -> Flowable:
        """Return a heading."""
        return Paragraph(escape(self.word(name)), self._heading)

    def facts(self, rows: Sequence[tuple[str, str]]) -> Flowable:
        """Return names with their values."""
        body = [[self.text(name), self.text(value)] for name, value in rows]
        return Table(body, colWidths=[44 * units.mm, 134 * units.mm], hAlign="LEFT")

    def table(self, names: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]) -> Flowable:
        """Return a table with a heading that repeats on every page."""
        body = [[self.text(self.word(name)) for name in names], *([self.text(cell) for cell in row] for row in rows)]
        style = TableStyle([("LINEBELOW", (0, 0), (-1, 0), 1, colors.black), ("VALIGN", (0, 0), (-1, -1), "TOP")])
        return Table(body, colWidths=[width * units.mm for width in widths], repeatRows=1, hAlign="LEFT", style=style)
