"""Collection: levels, contacts, receipts.

Revision: 0004_collection, after 0003_cases.
"""

from alembic import op

revision = "0004_collection"
down_revision = "0003_cases"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
