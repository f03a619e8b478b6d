"""What a submission must hold: every lack by its place, all of them at once."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.money import Money
from valuation.domain.appraisals import AppraisalMethod, Signer, Submission, ValueKind, a_year_after, lacks_of

TODAY = date(2026, 3, 2)
ONE, OTHER = Signer("沈评估", "31000001"), Signer("陆评估", "31000002")
WHOLE = Submission(
    kind=ValueKind.FULL,
    methods=[AppraisalMethod.COST, AppraisalMethod.COMPARABLES],
    methods_justification="",
    signers=[ONE, OTHER],
    inspection_statement="已现场勘查。",
    scope="仅供本次转让。",
    value=Money(1, "CNY"),
    valued_on=date(2026, 2, 1),
    valid_until_on=date(2027, 2, 1),
)


def pointers(submission, *, has_report=True):
    return [lack.pointer for lack in lacks_of(submission, currency="CNY", has_report=has_report, today=TODAY)]


def test_a_whole_submission_lacks_nothing():
    assert pointers(WHOLE) == []
    assert pointers(WHOLE, has_report=False) == ["/report"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"kind": None}, "/kind"),
        ({"methods": []}, "/methods"),
        ({"methods": [AppraisalMethod.COST]}, "/methods"),
        ({"methods": [AppraisalMethod.COST, AppraisalMethod.COST]}, "/methods"),
        ({"methods": [], "methods_justification": "别无他法"}, "/methods"),
        ({"signers": []}, "/signers"),
        ({"signers": [ONE, ONE]}, "/signers"),
        ({"signers": [ONE, replace(OTHER, certificate_number=ONE.certificate_number)]}, "/signers"),
        ({"signers": [ONE, replace(OTHER, name=ONE.name)]}, "/signers"),
        ({"signers": [ONE, OTHER, replace(OTHER, name="周评估")]}, "/signers"),
        ({"value": None}, "/value"),
        ({"value": Money(1, "USD")}, "/value"),
        ({"valued_on": None}, "/valued_on"),
        ({"valued_on": date(2026, 3, 3)}, "/valued_on"),
        ({"valid_until_on": None}, "/valid_until_on"),
        ({"valid_until_on": date(2027, 2, 2)}, "/valid_until_on"),
        ({"valid_until_on": date(2026, 1, 31)}, "/valid_until_on"),
        ({"inspection_statement": ""}, "/inspection_statement"),
        ({"scope": ""}, "/scope"),
    ],
)
def test_each_lack_is_named_by_its_place(changes, pointer):
    assert pointers(replace(WHOLE, **changes)) == [pointer]


def test_one_method_will_do_when_it_is_justified():
    alone = replace(WHOLE, methods=[AppraisalMethod.COST], methods_justification="其他方法不适用。")
    assert pointers(alone) == []


@given(st.dates(date(1970, 1, 1), date(2199, 12, 31)))
def test_a_year_is_a_year(day):
    later = a_year_after(day)
    assert 365 <= (later - day).days <= 366
    assert (later.month, later.day) == (day.month, day.day) or (day.month, day.day, later.day) == (2, 29, 28)
