"""Deposit references: every single wrong character and every swap is noticed; what people type is forgiven."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auctions.domain.references import ALPHABET, NUMBERS, make_reference, read_reference

numbers = st.integers(0, NUMBERS - 1)


@given(numbers)
def test_a_reference_reads_back(number):
    reference = make_reference(number)
    assert len(reference) == 11
    assert read_reference(reference) == reference
    assert read_reference(f" {reference.lower().replace('-', ' ')} ") == reference
    assert read_reference(reference.replace("0", "O").replace("1", "l")) == reference


@given(numbers, st.integers(0, 7), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_noticed(number, place, char):
    reference = make_reference(number)
    wrong = reference[: 3 + place] + char + reference[4 + place :]
    assert (read_reference(wrong) is not None) == (wrong == reference)


@given(numbers, st.integers(0, 7), st.integers(0, 7))
def test_two_swapped_characters_are_noticed(number, one, other):
    reference = make_reference(number)
    chars = list(reference[3:])
    chars[one], chars[other] = chars[other], chars[one]
    swapped = "DP-" + "".join(chars)
    assert (read_reference(swapped) is not None) == (swapped == reference)


def test_numbers_are_told_apart():
    assert len({make_reference(number) for number in range(5000)}) == 5000
    with pytest.raises(ValueError, match="no such reference"):
        make_reference(NUMBERS)


@pytest.mark.parametrize(
    "junk", ["", "DP-", "DP-UUUUUUUU", "INV-00000000", "DP-0000000", "DP-000000000", "ＤＰ-00000000"]
)
def test_junk_is_no_reference(junk):
    assert read_reference(junk) is None
