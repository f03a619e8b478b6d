"""Receipts, keys, sealed bids, protocols.

Revision: 0011_auction_proofs, after 0010_auction_log.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011_auction_proofs"
down_revision = "0010_auction_log"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _signing_keys()
    _sealing_keys()
    _books()


def _signing_keys() -> None:
    op.create_table(
        "signing_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("public", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("key_id ~ '^[0-9a-f]{32}$'", name=op.f("ck_signing_keys_key_id_form")),
        sa.CheckConstraint("octet_length(public) = 32", name=op.f("ck_signing_keys_public_length")),
        sa.CheckConstraint("valid_from < valid_until", name=op.f("ck_signing_keys_valid_for_a_time")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_keys")),
    )
    op.create_index("uq_signing_keys_key_id", "signing_keys", ["key_id"], unique=True)
    op.create_index(
        "uq_signing_keys_latest",
        "signing_keys",
        [sa.text("(valid_until IS NULL)")],
        unique=True,
        postgresql_where=sa.text("valid_until IS NULL"),
    )


def _sealing_keys() -> None:
    op.create_table(
        "sealing_keys",
        sa.Column("auction_id", sa.Uuid(), nullable=False),
        sa.Column("public", sa.LargeBinary(), nullable=False),
        sa.Column("book_key", sa.LargeBinary(), nullable=False),
        sa.Column("room", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("private", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("octet_length(public) = 32", name=op.f("ck_sealing_keys_public_length")),
        sa.CheckConstraint("octet_length(private) = 32", name=op.f("ck_sealing_keys_private_length")),
        sa.CheckConstraint("(opened_at IS NULL) = (private IS NULL)", name=op.f("ck_sealing_keys_private_when_opened")),
        sa.CheckConstraint("room BETWEEN 1 AND 65536", name=op.f("ck_sealing_keys_room_bounded")),
        sa.ForeignKeyConstraint(["auction_id"], ["auctions.id"], name=op.f("fk_sealing_keys_auction_id")),
        sa.PrimaryKeyConstraint("auction_id", name=op.f("pk_sealing_keys")),
    )
    op.create_table(
        "sealing_shares",
        sa.Column("auction_id", sa.Uuid(), nullable=False),
        sa.Column(
            "holder",
            sa.Enum(
                "seller",
                "operator",
                "auditor",
                name="share_holder",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("commitment", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("collected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("submitted", sa.LargeBinary(), nullable=True),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("octet_length(commitment) = 32", name=op.f("ck_sealing_shares_commitment_length")),
        sa.CheckConstraint("sealed IS NULL OR collected_at IS NULL", name=op.f("ck_sealing_shares_collected_once")),
        sa.CheckConstraint(
            "(submitted IS NULL) = (submitted_at IS NULL)", name=op.f("ck_sealing_shares_submitted_when")
        ),
        sa.CheckConstraint(
            "submitted_at IS NULL OR collected_at IS NOT NULL",
            name=op.f("ck_sealing_shares_submitted_after_collection"),
        ),
        sa.ForeignKeyConstraint(["auction_id"], ["sealing_keys.auction_id"], name=op.f("fk_sealing_shares_auction_id")),
        sa.PrimaryKeyConstraint("auction_id", "holder", name=op.f("pk_sealing_shares")),
    )


def _books() -> None:
    op.create_table(
        "sealed_books",
        sa.Column("registration_id", sa.Uuid(), nullable=False),
        sa.Column("auction_id", sa.Uuid(), nullable=False),
        sa.Column("book", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["registration_id"], ["registrations.id"], name=op.f("fk_sealed_books_registration_id")
        ),
        sa.ForeignKeyConstraint(["auction_id"], ["sealing_keys.auction_id"], name=op.f("fk_sealed_books_auction_id")),
        sa.PrimaryKeyConstraint("registration_id", name=op.f("pk_sealed_books")),
    )
    op.create_index(op.f("ix_sealed_books_auction_id"), "sealed_books", ["auction_id"])
    op.create_table(
        "opened_boxes",
        sa.Column("auction_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("registration_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("lots", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("box", sa.LargeBinary(), nullable=False),
        sa.Column("receipt", sa.Text(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("number > 0", name=op.f("ck_opened_boxes_number_positive")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_opened_boxes_amount_positive")),
        sa.CheckConstraint("(kind = 'withdraw') = (amount_minor IS NULL)", name=op.f("ck_opened_boxes_amount_of_bid")),
        sa.CheckConstraint("octet_length(signature) = 64", name=op.f("ck_opened_boxes_signature_length")),
        sa.ForeignKeyConstraint(["auction_id"], ["sealing_keys.auction_id"], name=op.f("fk_opened_boxes_auction_id")),
        sa.ForeignKeyConstraint(
            ["registration_id"], ["registrations.id"], name=op.f("fk_opened_boxes_registration_id")
        ),
        sa.PrimaryKeyConstraint("auction_id", "number", name=op.f("pk_opened_boxes")),
    )
    op.execute(
        "CREATE TRIGGER opened_boxes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON opened_boxes "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in ("opened_boxes", "sealed_books", "sealing_shares", "sealing_keys", "signing_keys"):
        op.drop_table(table)
