"""Shares and boxes: two of three open, one tells nothing; every box looks like every other."""

import itertools
import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auctions.domain import sealing, shamir

KEY = sealing.new_key()
SECRETS = st.binary(min_size=1, max_size=40)


@settings(max_examples=25)
@given(secret=SECRETS, holders=st.integers(1, 7), data=st.data())
def test_any_threshold_of_the_shares_gives_the_secret_back(secret, holders, data):
    threshold = data.draw(st.integers(1, holders))
    shares = shamir.split(secret, holders=holders, threshold=threshold, random=os.urandom)
    for chosen in itertools.islice(itertools.combinations(range(holders), threshold), 5):
        assert shamir.combine({i + 1: shares[i] for i in chosen}) == secret
    assert shamir.combine({i + 1: share for i, share in enumerate(shares)}) == secret


def test_one_share_of_two_rules_out_no_secret():
    """For every value of a share there is exactly one second coefficient for each secret: perfect secrecy, counted."""
    for holder in (1, 2, 3):
        for secret in (0, 1, 0x53, 0xFF):
            seen = {
                shamir.split(bytes([secret]), holders=3, threshold=2, random=lambda _, c=c: bytes([c]))[holder - 1][0]
                for c in range(256)
            }
            assert seen == set(range(256))


def test_known_values():
    """f(x) = 0x53 + 0xCA x over the AES field, where 0x53 and 0xCA are inverse to each other."""
    shares = shamir.split(b"\x53", holders=3, threshold=2, random=lambda _: b"\xca")
    assert [share.hex() for share in shares] == ["99", "dc", "16"]


def test_a_wrong_share_gives_another_secret():
    shares = shamir.split(b"0123456789", holders=3, threshold=2, random=os.urandom)
    changed = bytes([shares[1][0] ^ 1]) + shares[1][1:]
    assert shamir.combine({1: shares[0], 2: changed}) != b"0123456789"
    assert shamir.combine({1: shares[0], 3: shares[1]}) != b"0123456789"


@pytest.mark.parametrize("shares", [{}, {1: b"ab", 2: b"a"}, {0: b"a", 1: b"b"}, {256: b"a"}])
def test_impossible_shares_are_refused(shares):
    with pytest.raises(ValueError, match="shares"):
        shamir.combine(shares)


@pytest.mark.parametrize(("holders", "threshold"), [(0, 0), (2, 3), (256, 2), (3, 0)])
def test_impossible_splits_are_refused(holders, threshold):
    with pytest.raises(ValueError, match="holders"):
        shamir.split(b"x", holders=holders, threshold=threshold, random=os.urandom)


@settings(max_examples=30)
@given(content=st.binary(max_size=64), room=st.integers(64, 100))
def test_a_box_gives_back_what_was_put_in_and_its_length_says_nothing(content, room):
    box = sealing.seal(KEY.public, content, room=room)
    assert len(box) == room + sealing.OVERHEAD
    assert sealing.open_box(KEY.private, box) == content
    assert sealing.public_of(KEY.private) == KEY.public


def test_two_boxes_of_the_same_content_have_nothing_in_common():
    first, second = (sealing.seal(KEY.public, b"100", room=64) for _ in range(2))
    assert sum(a == b for a, b in zip(first, second, strict=True)) < 12


def test_one_byte_changed_or_another_key_opens_nothing():
    box = sealing.seal(KEY.public, b"100", room=16)
    numbers = random.Random(7)
    for position in range(len(box)):
        changed = bytearray(box)
        changed[position] ^= numbers.randrange(1, 256)
        with pytest.raises(sealing.CannotOpen):
            sealing.open_box(KEY.private, bytes(changed))
    for private, broken in ((sealing.new_key().private, box), (KEY.private, b""), (KEY.private, box[:40])):
        with pytest.raises(sealing.CannotOpen):
            sealing.open_box(private, broken)


def test_the_bit_that_x25519_ignores_is_noticed_too():
    box = bytearray(sealing.seal(KEY.public, b"100", room=16))
    box[sealing.KEY_BYTES - 1] ^= 0x80
    with pytest.raises(sealing.CannotOpen):
        sealing.open_box(KEY.private, bytes(box))


def test_what_does_not_fit_is_refused():
    with pytest.raises(sealing.TooLong):
        sealing.seal(KEY.public, b"x" * 17, room=16)
