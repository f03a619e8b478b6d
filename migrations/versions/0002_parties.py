"""Parties: organisations, users, licences, sessions, keys.

Revision: 0002_parties, after 0001_house.
"""

from alembic import op

revision = "0002_parties"
down_revision = "0001_house"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
