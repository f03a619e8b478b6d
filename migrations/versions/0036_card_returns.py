"""Card money that no deposit takes goes back to its card by itself: the one payment that the clockwork approves.

Revision: 0036_card_returns, after 0035_after_the_transfer.
"""

from alembic import op

revision = "0036_card_returns"
down_revision = "0035_after_the_transfer"
branch_labels = None
depends_on = None

APPROVED_BY_PERSON = "state IN ('proposed', 'cancelled') OR approved_by_id IS NOT NULL"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _replace(f"{APPROVED_BY_PERSON} OR source_kind = 'card_payment.returned'")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _replace(APPROVED_BY_PERSON)


def _replace(condition: str) -> None:
    op.drop_constraint(op.f("ck_payment_orders_approver_known"), "payment_orders", type_="check")
    op.create_check_constraint(op.f("ck_payment_orders_approver_known"), "payment_orders", condition)
