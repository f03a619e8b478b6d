"""Payments: notices, third-party payers, Stripe refunds and disputes.

Revision: 0022_rails, after 0021_bank.
"""

revision = "0022_rails"
down_revision = "0021_bank"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
