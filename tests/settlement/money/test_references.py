"""References as banks and people mangle them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import iso11649

from auctions.domain import references as deposit_references
from settlement.domain.references import (
    ReferenceKind,
    find_references,
    is_sound,
    kind_of,
    new_reference,
    notice_reference,
    printed,
)

REFERENCE = deposit_references.make_reference(123_456_789)
BODIES = st.integers(0, deposit_references.NUMBERS - 1).map(
    lambda number: deposit_references.make_reference(number).removeprefix("DP-")
)


PREFIXED = st.sampled_from([kind for kind in ReferenceKind if kind is not ReferenceKind.NOTICE])


@given(body=BODIES, kind=PREFIXED, data=st.data())
def test_a_mangled_reference_is_found(body, kind, data) -> None:
    gaps = data.draw(st.lists(st.sampled_from(["", "", "", " ", "-", "\n", " - ", "."]), min_size=9, max_size=9))
    text = kind.value + gaps[0] + "".join(char + gap for char, gap in zip(body, [*gaps[1:-1], ""], strict=True))
    if data.draw(st.booleans()):
        text = text.lower()
    if data.draw(st.booleans()):
        text = text.replace("0", "O").replace("1", "l")
    around = data.draw(st.sampled_from([("", ""), ("竞买保证金", "华信资产"), ("deposit ", " for lot 7"), ("/", "/")]))
    assert f"{kind.value}-{body}" in find_references(around[0] + text + around[1])


@given(body=BODIES, position=st.integers(0, 7), other=st.sampled_from(deposit_references.ALPHABET))
def test_one_wrong_character_is_no_reference(body, position, other) -> None:
    changed = body[:position] + other + body[position + 1 :]
    assert is_sound(f"DP-{changed}") == (changed == body)


def test_full_width_text_is_read() -> None:
    wide = "".join(chr(ord(char) + 0xFEE0) for char in REFERENCE)
    assert find_references(f"保证金（{wide}）") == [REFERENCE]


@pytest.mark.parametrize(
    "text",
    ["", "DP-", "DP", "deposit for package seven", "PO BOX 12345678", "dp" * 40, REFERENCE + "7", "INV-2026-000123"],
)
def test_what_is_no_reference(text) -> None:
    assert find_references(text) == []


def test_several_are_found_once_each_in_order() -> None:
    order = new_reference(ReferenceKind.PAYMENT_ORDER)
    assert find_references(f"{REFERENCE} {order} {REFERENCE}") == [REFERENCE, order]
    assert kind_of(order) is ReferenceKind.PAYMENT_ORDER


@given(st.text(max_size=300))
def test_any_text_is_read_in_bounded_time(text) -> None:
    assert all(is_sound(reference) for reference in find_references(text))


NUMBERS = st.integers(0, 10**10 - 1)


@given(number=NUMBERS, data=st.data())
def test_a_notice_has_a_creditor_reference_that_banks_know_and_clerks_mangle(number, data) -> None:
    reference = notice_reference(number)
    assert iso11649.is_valid(reference)
    assert kind_of(reference) is ReferenceKind.NOTICE
    gaps = data.draw(st.lists(st.sampled_from(["", "", " ", "-", "\n"]), min_size=14, max_size=14))
    text = "".join(char + gap for char, gap in zip(reference, [*gaps[:-1], ""], strict=True))
    if data.draw(st.booleans()):
        text = text.lower().replace("0", "o").replace("1", "l")
    assert reference in find_references(f"付款 {text} 华信")
    assert find_references(printed(reference)) == [reference]


@given(number=NUMBERS, at=st.integers(2, 13), other=st.sampled_from("0123456789"))
def test_one_wrong_digit_of_a_notice_is_noticed(number, at, other) -> None:
    reference = notice_reference(number)
    changed = reference[:at] + other + reference[at + 1 :]
    assert is_sound(changed) == (changed == reference)


@given(number=NUMBERS, places=st.lists(st.integers(4, 13), min_size=2, max_size=2, unique=True).map(sorted))
def test_two_swapped_digits_of_a_notice_are_noticed(number, places) -> None:
    reference = notice_reference(number)
    one, two = places
    swapped = reference[:one] + reference[two] + reference[one + 1 : two] + reference[one] + reference[two + 1 :]
    assert is_sound(swapped) == (swapped == reference)
