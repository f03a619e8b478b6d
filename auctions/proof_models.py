"""Rows of proofs: signing keys, sealing keys with their shares, the books of sealed bids, and what was opened."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from auctions.domain.ceremony import ShareHolder
from marketplace.db import Base, enum_column, key


class SigningKey(Base):
    """A key under which receipts and bundles are signed from `valid_from` until `valid_until`; never deleted.

    `sealed` is the private half, encrypted by the vault. At most one key has no end.
    """

    __tablename__ = "signing_keys"
    id: Mapped[uuid.UUID] = key()
    key_id: Mapped[str]
    public: Mapped[bytes] = mapped_column(LargeBinary)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    valid_from: Mapped[datetime]
    valid_until: Mapped[datetime | None]
    created_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("key_id ~ '^[0-9a-f]{32}$'", "key_id_form"),
        CheckConstraint("octet_length(public) = 32", "public_length"),
        CheckConstraint("valid_from < valid_until", "valid_for_a_time"),
        Index("uq_signing_keys_key_id", "key_id", unique=True),
        Index(
            "uq_signing_keys_latest",
            text("(valid_until IS NULL)"),
            unique=True,
            postgresql_where=text("valid_until IS NULL"),
        ),
    )


class SealingKey(Base):
    """The key to which the bids of a sealed auction are encrypted. `private` is null until two holders gave theirs.

    `room`: bytes of content that every box of this auction has room for. `book_key` is the vault's outer wrapping of
    the books, itself encrypted by the vault. `seed` veils the commitments to the books and is revealed with the bids.
    """

    __tablename__ = "sealing_keys"
    auction_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("auctions.id"), primary_key=True)
    public: Mapped[bytes] = mapped_column(LargeBinary)
    book_key: Mapped[bytes] = mapped_column(LargeBinary)
    room: Mapped[int]
    made_at: Mapped[datetime]
    opened_at: Mapped[datetime | None]
    private: Mapped[bytes | None] = mapped_column(LargeBinary)
    seed: Mapped[bytes | None] = mapped_column(LargeBinary)

    __table_args__ = (
        CheckConstraint("octet_length(public) = 32", "public_length"),
        CheckConstraint("octet_length(private) = 32", "private_length"),
        CheckConstraint("(opened_at IS NULL) = (private IS NULL)", "private_when_opened"),
        CheckConstraint("room BETWEEN 1 AND 65536", "room_bounded"),
        CheckConstraint("octet_length(seed) = 32", "seed_length"),
        CheckConstraint("seed IS NULL OR opened_at IS NOT NULL", "seed_when_opened"),
    )


class SealingShare(Base):
    """One holder's share of a sealing key. Only its hash stays once it was collected.

    `sealed` (encrypted by the vault) waits for its collection and is erased by it, or at the opening of bidding.
    `submitted` is what the holder gave at the ceremony, encrypted by the vault, so that a crash between two
    submissions loses nothing.
    """

    __tablename__ = "sealing_shares"
    auction_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("sealing_keys.auction_id"), primary_key=True)
    holder: Mapped[ShareHolder] = mapped_column(enum_column(ShareHolder), primary_key=True)
    commitment: Mapped[bytes] = mapped_column(LargeBinary)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    collected_at: Mapped[datetime | None]
    submitted: Mapped[bytes | None] = mapped_column(LargeBinary)
    submitted_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("octet_length(commitment) = 32", "commitment_length"),
        CheckConstraint("sealed IS NULL OR collected_at IS NULL", "collected_once"),
        CheckConstraint("(submitted IS NULL) = (submitted_at IS NULL)", "submitted_when"),
        CheckConstraint("submitted_at IS NULL OR collected_at IS NOT NULL", "submitted_after_collection"),
    )


class SealedBook(Base):
    """All places of one registration in a sealed auction: boxes or dummies, nobody can tell which.

    Every attempt in the auction rewrites the books of all its registrations, so neither length nor number nor
    transaction of a row says who bids, or whether anybody does. `boxes`: at the opening, the sealed boxes of all places
    one after the other, dummies included, so that anyone can check them against the last commitment.
    """

    __tablename__ = "sealed_books"
    registration_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("registrations.id"), primary_key=True)
    auction_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("sealing_keys.auction_id"), index=True)
    book: Mapped[bytes] = mapped_column(LargeBinary)
    boxes: Mapped[bytes | None] = mapped_column(LargeBinary)


class SealedCommitment(Base):
    """What all books of an auction held at a fixed moment, veiled. Neither updated nor deleted (trigger)."""

    __tablename__ = "sealed_commitments"
    auction_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("sealing_keys.auction_id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    veiled: Mapped[bytes] = mapped_column(LargeBinary)
    head: Mapped[bytes] = mapped_column(LargeBinary)

    __table_args__ = (
        CheckConstraint("number > 0", "number_positive"),
        CheckConstraint("octet_length(veiled) = 32", "veiled_length"),
        CheckConstraint("octet_length(head) = 32", "head_length"),
    )


class OpenedBox(Base):
    """A sealed attempt as the ceremony found it, in order of arrival. Neither updated nor deleted (trigger)."""

    __tablename__ = "opened_boxes"
    auction_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("sealing_keys.auction_id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    registration_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("registrations.id"))
    kind: Mapped[str]
    amount_minor: Mapped[int | None]
    lots: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    at: Mapped[datetime]
    box: Mapped[bytes] = mapped_column(LargeBinary)
    receipt: Mapped[str] = mapped_column(Text)
    signature: Mapped[bytes] = mapped_column(LargeBinary)

    __table_args__ = (
        CheckConstraint("number > 0", "number_positive"),
        CheckConstraint("amount_minor > 0", "amount_positive"),
        CheckConstraint("(kind = 'withdraw') = (amount_minor IS NULL)", "amount_of_bid"),
        CheckConstraint("octet_length(signature) = 64", "signature_length"),
    )
