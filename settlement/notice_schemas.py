"""What goes in and out of the routes of payment notices, tolerances and unapplied cash."""

import marshmallow as ma

from marketplace.fields import Amount, Choice, Count, Day, Flag, Id, Instant, PageArgs, Schema, Text
from settlement.domain.matching import Finding
from settlement.domain.notices import MAX_INSTALMENTS, NoticePurpose, NoticeStatus
from settlement.domain.references import printed


class NoticeTermsIn(Schema):
    """How a notice is to be paid. A buyer says only `cent_tail`; accounts and dates are finance's."""

    cent_tail = Flag(load_default=False)
    own_account_id = Id(load_default=None)
    sub_account = Text(maximum=64, load_default="", minimum=0, pattern="|.*[0-9A-Za-z].*")
    due_on = Day(load_default=None)
    expires_on = Day(load_default=None)


class InstalmentIn(Schema):
    """A part of the balance."""

    amount = Amount(required=True)
    due_on = Day(required=True)


class DealNoticesIn(NoticeTermsIn):
    """The balance in one, or in parts that add up to what is due, each on a later day."""

    parts = ma.fields.List(
        ma.fields.Nested(InstalmentIn), load_default=list, validate=ma.validate.Length(max=MAX_INSTALMENTS)
    )


class ReissueIn(NoticeTermsIn):
    """Other terms for the same payment, and why."""

    reason = Text(maximum=500, required=True)


class NoticeArgs(PageArgs):
    """Which notices: of a deal or a registration."""

    deal_id = Id(load_default=None)
    registration_id = Id(load_default=None)


class NoticeOut(Schema):
    """A payment notice. `amount` = `asked` + `tail` is what to transfer; `status` and `received` are as of today."""

    id = Id(required=True, attribute="notice.id")
    reference = ma.fields.String(required=True, attribute="notice.reference")
    printed_reference = ma.fields.Function(lambda view: printed(view.notice.reference), required=True)
    subject = ma.fields.String(required=True, attribute="notice.subject")
    purpose = Choice(NoticePurpose, required=True, attribute="notice.purpose")
    status = Choice(NoticeStatus, required=True)
    organisation_id = Id(required=True, attribute="notice.organisation_id")
    registration_id = Id(required=True, allow_none=True, attribute="notice.registration_id")
    deal_id = Id(required=True, allow_none=True, attribute="notice.deal_id")
    position = Count(required=True, attribute="notice.position")
    asked = Amount(required=True, attribute="notice.asked")
    tail = Amount(required=True, attribute="notice.tail")
    amount = Amount(required=True, attribute="notice.amount")
    received = Amount(required=True)
    due_on = Day(required=True, attribute="notice.due_on")
    expires_on = Day(required=True, attribute="notice.expires_on")
    replaces_id = Id(required=True, allow_none=True, attribute="notice.replaces_id")
    payer_name = ma.fields.String(required=True)
    bank_name = ma.fields.String(required=True, attribute="account.bank_name")
    account_holder = ma.fields.String(required=True, attribute="account.holder")
    account_number = ma.fields.String(required=True, attribute="account.number")
    sub_account = ma.fields.String(required=True)
    issued_at = Instant(required=True, attribute="notice.issued_at")
    issued_by = ma.fields.String(required=True, attribute="notice.issued_by")
    cancelled_because = ma.fields.Function(
        lambda view: None if view.cancellation is None else view.cancellation.reason, required=True
    )


class NoticesOut(Schema):
    """Notices of a plan, the first instalment first."""

    items = ma.fields.List(ma.fields.Nested(NoticeOut), required=True)


class ToleranceIn(Schema):
    """How much too little (`under`) or too much (`over`) is let go for a purpose; none for deposits."""

    purpose = Choice(NoticePurpose, required=True)
    under = Amount(required=True)
    over = Amount(required=True)
    valid_from_on = Day(required=True)


class ToleranceOut(ToleranceIn):
    """A version of a tolerance; the newest whose first day has come counts."""

    id = Id(required=True)
    created_at = Instant(required=True)
    created_by = ma.fields.String(required=True)


class BucketOut(Schema):
    """Unapplied cash of an age; without `to_days`: older."""

    currency = ma.fields.String(required=True)
    from_days = Count(required=True)
    to_days = Count(required=True, allow_none=True)
    count = Count(required=True)
    total = Amount(required=True)


class UnappliedItemOut(Schema):
    """A receipt (bank line, or card payment without a finding) of which something is open."""

    receipt_id = Id(required=True)
    since = Day(required=True)
    age_days = Count(required=True)
    open = Amount(required=True)
    finding = Choice(Finding, required=True, allow_none=True)
    payer_name = ma.fields.String(required=True)
    payer_account = ma.fields.String(required=True)
    remittance = ma.fields.String(required=True)


class UnappliedOut(Schema):
    """Unapplied cash as of a day, oldest first; the totals are those of the books."""

    on = Day(required=True)
    totals = ma.fields.List(Amount(), required=True)
    buckets = ma.fields.List(ma.fields.Nested(BucketOut), required=True)
    items = ma.fields.List(ma.fields.Nested(UnappliedItemOut), required=True)
