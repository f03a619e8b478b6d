"""Commitments to the books of sealed auctions, and what the ceremony reveals of them; veiled entries.

Revision: 0027_sealed_chain, after 0026_books_speed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0027_sealed_chain"
down_revision = "0026_books_speed"
branch_labels = None
depends_on = None

AMOUNT_OF_ATTEMPT = "amount_minor IS NOT NULL OR kind NOT IN ('bid', 'maximum', 'accept')"


END_STAYS = "(kind <> 'accept' AND ends_at < ends_before)"
END_STAYS_BUT = "(kind NOT IN ('accept', 'withdraw') AND ends_at < ends_before)"


def _replace_in_order_check(old: str, new: str) -> None:
    """Write the function of the trigger `auction_events_in_order` with one condition exchanged."""
    found = op.get_bind().execute(sa.text("SELECT pg_get_functiondef('check_order_of_auction_events'::regproc)"))
    text = found.scalar_one()
    assert old in text
    op.get_bind().exec_driver_sql(text.replace(old, new).replace("%", "%%"))


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    # the last sealed bid taken back brings the end of a hybrid auction back to that of its sealed phase
    _replace_in_order_check(END_STAYS, END_STAYS_BUT)
    op.create_table(
        "sealed_commitments",
        sa.Column("auction_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("veiled", sa.LargeBinary(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("number > 0", name=op.f("ck_sealed_commitments_number_positive")),
        sa.CheckConstraint("octet_length(veiled) = 32", name=op.f("ck_sealed_commitments_veiled_length")),
        sa.CheckConstraint("octet_length(head) = 32", name=op.f("ck_sealed_commitments_head_length")),
        sa.ForeignKeyConstraint(
            ["auction_id"], ["sealing_keys.auction_id"], name=op.f("fk_sealed_commitments_auction_id")
        ),
        sa.PrimaryKeyConstraint("auction_id", "number", name=op.f("pk_sealed_commitments")),
    )
    op.execute(
        "CREATE TRIGGER sealed_commitments_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON sealed_commitments "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.add_column("sealing_keys", sa.Column("seed", sa.LargeBinary(), nullable=True))
    op.create_check_constraint(op.f("ck_sealing_keys_seed_length"), "sealing_keys", "octet_length(seed) = 32")
    op.create_check_constraint(
        op.f("ck_sealing_keys_seed_when_opened"), "sealing_keys", "seed IS NULL OR opened_at IS NOT NULL"
    )
    # a falling price taken in the first moment ends the auction in it
    op.drop_constraint(op.f("ck_auctions_times_in_order"), "auctions", type_="check")
    op.create_check_constraint(op.f("ck_auctions_times_in_order"), "auctions", "opens_at <= ends_at")
    op.drop_constraint(op.f("ck_auction_events_amount_of_attempt"), "auction_events", type_="check")
    op.create_check_constraint(
        op.f("ck_auction_events_amount_of_attempt"),
        "auction_events",
        f"{AMOUNT_OF_ATTEMPT} OR starts_with(receipt, 'veiled:')",
    )
    op.add_column("sealed_books", sa.Column("boxes", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _replace_in_order_check(END_STAYS_BUT, END_STAYS)
    op.drop_constraint(op.f("ck_auctions_times_in_order"), "auctions", type_="check")
    op.create_check_constraint(op.f("ck_auctions_times_in_order"), "auctions", "opens_at < ends_at")
    op.drop_column("sealed_books", "boxes")
    op.drop_constraint(op.f("ck_auction_events_amount_of_attempt"), "auction_events", type_="check")
    op.create_check_constraint(op.f("ck_auction_events_amount_of_attempt"), "auction_events", AMOUNT_OF_ATTEMPT)
    op.drop_constraint(op.f("ck_sealing_keys_seed_when_opened"), "sealing_keys", type_="check")
    op.drop_constraint(op.f("ck_sealing_keys_seed_length"), "sealing_keys", type_="check")
    op.drop_column("sealing_keys", "seed")
    op.drop_table("sealed_commitments")
