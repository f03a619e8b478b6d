"""Collections after the cut-off that are set off against the balance of a deal.

Revision: 0034_netted_collections, after 0033_instalments.
"""

import sqlalchemy as sa
from alembic import op

revision = "0034_netted_collections"
down_revision = "0033_instalments"
branch_labels = None
depends_on = None

STATES_BEFORE = ("proposed", "approved", "settled", "rejected")
STATES = (*STATES_BEFORE, "cancelled")
RECEIVED_BEFORE = "deposit_minor + received_minor + waived_minor"
RECEIVED = f"{RECEIVED_BEFORE} + netted_minor"
ALL_BEFORE = "deposit_minor >= 0 AND received_minor >= 0 AND waived_minor >= 0"


def _checks(received: str, not_negative: str) -> dict[str, str]:
    """Return the constraints of a deal that say what counts toward its price."""
    return {
        "received_not_negative": not_negative,
        "received_at_most_price": f"{received} <= price_minor",
        "distributed_is_received": f"distributed_minor BETWEEN 0 AND {received}",
        "paid_in_full": f"state IN ('awaiting_payment', 'signed', 'cancelled') OR {received} = price_minor",
        "cancelled_holds_nothing": f"state <> 'cancelled' OR {received} = 0",
    }


def _say_anew(received: str, not_negative: str, states: tuple[str, ...]) -> None:
    for name, condition in _checks(received, not_negative).items():
        op.drop_constraint(op.f(f"ck_deals_{name}"), "deals", type_="check")
        op.create_check_constraint(op.f(f"ck_deals_{name}"), "deals", condition)
    op.drop_constraint(op.f("ck_adjustments_adjustment_state"), "adjustments", type_="check")
    listed = ", ".join(f"'{state}'" for state in states)
    op.create_check_constraint(op.f("ck_adjustments_adjustment_state"), "adjustments", f"state IN ({listed})")


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("deals", sa.Column("netted_minor", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.alter_column("deals", "netted_minor", server_default=None)
    _say_anew(RECEIVED, f"{ALL_BEFORE} AND netted_minor >= 0", STATES)
    op.add_column(
        "adjustment_covers",
        sa.Column("against_balance", sa.Boolean(), nullable=False, server_default=sa.text("false")),
    )
    op.alter_column("adjustment_covers", "against_balance", server_default=None)
    op.create_check_constraint(
        op.f("ck_adjustment_covers_one_way"), "adjustment_covers", "NOT against_balance OR statement_line_id IS NULL"
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_constraint(op.f("ck_adjustment_covers_one_way"), "adjustment_covers", type_="check")
    op.drop_column("adjustment_covers", "against_balance")
    _say_anew(RECEIVED_BEFORE, ALL_BEFORE, STATES_BEFORE)
    op.drop_column("deals", "netted_minor")
