"""A large package is frozen by a job, which the package names.

Revision: 0039_freeze_jobs, after 0036_card_returns.
"""

import sqlalchemy as sa
from alembic import op

revision = "0039_freeze_jobs"
down_revision = "0036_card_returns"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("packages", sa.Column("job_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_packages_job_id"), "packages", "jobs", ["job_id"], ["id"])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_column("packages", "job_id")
