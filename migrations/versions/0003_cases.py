"""Cases, tapes and packages.

Revision: 0003_cases, after 0002_parties.
"""

from alembic import op

revision = "0003_cases"
down_revision = "0002_parties"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
