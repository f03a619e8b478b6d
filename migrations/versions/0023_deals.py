"""Deals: rules of the flow, instalments, adjustments, defaults.

Revision: 0023_deals, after 0022_rails.
"""

revision = "0023_deals"
down_revision = "0022_rails"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
