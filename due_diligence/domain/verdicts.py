"""What reading a PDF can come to, and the sentence that tells its owner what to do. Pure.

The reader's answer comes from a child process that worked on untrusted bytes, so it is untrusted itself: `reading`
takes it apart and refuses whatever is not exactly an answer.
"""

import enum
import json
import re
from dataclasses import dataclass
from typing import Any, Final

MAX_PAGES: Final = 3_000
MAX_PAGE_TEXT: Final = 20_000
"""Characters of text kept per page."""
MAX_TEXT: Final = 2_000_000
"""Characters of text kept per document."""
MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
"""Bytes of the child's answer; MAX_TEXT of four-byte characters escaped fits."""


class Verdict(enum.StrEnum):
    """What reading a file came to."""

    OK = "ok"
    NO_TEXT = "no_text"
    SIGNED = "signed"
    ENCRYPTED = "encrypted"
    MALFORMED = "malformed"
    LIMIT = "limit"
    HOSTILE = "hostile"
    TOO_MANY_PAGES = "too_many_pages"


DELIVERABLE: Final = frozenset({Verdict.OK, Verdict.NO_TEXT, Verdict.SIGNED})
"""Only these can be marked page by page, hence given to anybody."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """What a verdict means and what to do, in both languages of the market."""

    zh: str
    en: str


SENTENCES: Final = {
    Verdict.OK: Sentence("文件可读，可以提供给买方。", "The file is readable and can be given to buyers."),
    Verdict.NO_TEXT: Sentence(
        "文件没有文字层（通常是扫描件），可以提供给买方，但搜索不到内容；如需搜索，请上传经文字识别（OCR）的版本。",
        "The file has no text (usually a scan). It can be given to buyers but its content is not found by search; "
        "upload a version with recognised text (OCR) if it should be.",
    ),
    Verdict.SIGNED: Sentence(
        "文件带有数字签名，可以提供给买方；买方得到的带水印副本中签名不再可验证，带签名的原件按其哈希值保存不变。",
        "The file carries a digital signature. It can be given to buyers; in their marked copies the signature no "
        "longer verifies, the signed original is kept unchanged under its hash.",
    ),
    Verdict.ENCRYPTED: Sentence(
        "文件设有打开密码，无法读取；请去除密码后重新上传。",
        "The file needs a password to be opened. Remove the password and upload it again.",
    ),
    Verdict.MALFORMED: Sentence(
        "文件不是完整的 PDF（可能已损坏、被截断，或是改了扩展名的其他文件）；请从原程序重新导出为 PDF 后上传。",
        "The file is not a whole PDF: damaged, cut short, or another kind of file renamed. Export it as PDF again from "
        "the program it came from and upload that.",
    ),
    Verdict.LIMIT: Sentence(
        "读取文件所需的时间或内存超过上限；请拆分文件，或用“打印为 PDF”重新生成后上传。",
        "Reading the file takes more time or memory than is allowed. Split it, or make it anew with “print to PDF”, "
        "and upload that.",
    ),
    Verdict.HOSTILE: Sentence(
        "文件的结构会使阅读程序崩溃或无限膨胀，已被隔离，不会提供给任何人；请确认来源，重新生成 PDF 后上传。",
        "The file is built so that it crashes or floods programs that read it. It is set apart and given to nobody; "
        "check where it came from, make the PDF anew and upload that.",
    ),
    Verdict.TOO_MANY_PAGES: Sentence(
        f"文件超过 {MAX_PAGES} 页；请拆分为较小的文件后上传。",
        f"The file has more than {MAX_PAGES} pages. Split it and upload the parts.",
    ),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """The answer about one file. `texts` has one entry per page when deliverable (maybe empty), else none."""

    verdict: Verdict
    pages: int
    texts: tuple[str, ...]
    note: str
    """What the reader stumbled over, one short line for the owner; empty when nothing."""

    @property
    def deliverable(self) -> bool:
        """Whether marked copies of it can be made."""
        return self.verdict in DELIVERABLE


class NotAnAnswer(Exception):
    """The child wrote something that is no answer; it counts as if it had died."""


def refused(verdict: Verdict, note: str = "", *, pages: int = 0) -> Reading:
    """Return the reading of a file that cannot be given to anybody."""
    return Reading(verdict=verdict, pages=pages, texts=(), note=clean(note, 200))


_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def clean(text: str, limit: int) -> str:
    """Return text as PostgreSQL and people can take it: no control characters, no lone surrogates, bounded."""
    return _UNWANTED.sub(" ", text[:limit]).strip()


def reading(content: bytes) -> Reading:
    """Take the child's answer apart: JSON `{verdict, pages, texts, note}` within its bounds; raise `NotAnAnswer`."""
    try:
        answer: Any = json.loads(content)
        verdict, pages = Verdict(answer["verdict"]), answer["pages"]
        texts, note = answer["texts"], answer["note"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise NotAnAnswer from None
    if type(pages) is not int or not 0 <= pages <= 10_000_000 or not isinstance(note, str):  # noqa: PLR2004 - a bound
        raise NotAnAnswer
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise NotAnAnswer
    if verdict not in DELIVERABLE:
        return refused(verdict, note, pages=pages)
    if not 1 <= pages <= MAX_PAGES or len(texts) != pages or sum(map(len, texts)) > MAX_TEXT:
        raise NotAnAnswer
    return Reading(verdict, pages, tuple(clean(text, MAX_PAGE_TEXT) for text in texts), clean(note, 200))


def after_deaths(causes: list[str]) -> Reading:
    """Return the verdict on a file that killed its reader each time it was tried.

    `causes` are the causes of death: `time`, `memory`, `answer` (flooded or senseless) or `signal`. A file that only
    ever ran out of time or memory is too big for us; anything else is hostile.
    """
    verdict = Verdict.LIMIT if set(causes) <= {"time", "memory"} else Verdict.HOSTILE
    return refused(verdict, "the reader ended without an answer: " + ", ".join(causes))


def starts_like_pdf(content: bytes) -> bool:
    """Whether `%PDF-` stands in the first 1,024 bytes (ISO 32000-1, annex H) and not first something else's mark."""
    head = content[:1024]
    return b"%PDF-" in head and not head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b"))
