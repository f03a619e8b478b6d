"""A payment notice as PDF, in Chinese or English: what to pay, to whom, with which reference, until when."""

from datetime import datetime

from marketplace.clock import format_instant
from settlement import reports
from settlement.domain.references import printed
from settlement.notice_views import NoticeView
from settlement.words import Language, word


def notice(view: NoticeView, *, language: Language, at: datetime) -> bytes:
    """Return the paper of a notice; the same notice, standing and instant give the same bytes."""
    row, account = view.notice, view.account
    lines = [reports.Line((word(f"purpose.{row.purpose.value}", language), row.asked.text))]
    if row.tail:
        lines.append(reports.Line((word("cent_tail", language), row.tail.text)))
    lines.append(reports.Line((word("to_transfer", language), row.amount.text), strong=True))
    if view.received:
        lines.append(reports.Line((word("notice_received", language), view.received.text)))
    facts = [
        (word("reference", language), printed(row.reference)),
        (word("subject", language), row.subject),
        (word("payer", language), view.payer_name),
        (word("payee", language), account.holder),
        (word("payee_bank", language), account.bank_name),
        (word("payee_account", language), view.sub_account or account.number),
        (word("due_on", language), row.due_on.isoformat()),
        (word("expires_on", language), row.expires_on.isoformat()),
        (word("state", language), word(f"notice.{view.status.value}", language)),
        (word("made_at", language), format_instant(at)),
    ]
    headings = (word("item", language), f"{word('amount', language)} ({row.currency})")
    note = word("tail_note" if row.tail else "notice_note", language)
    return reports.set_paper(
        reports.Paper(
            title=word("payment_notice", language), facts=facts, tables=[(headings, lines, (110, 60))], note=note
        )
    )
