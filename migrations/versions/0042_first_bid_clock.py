"""The end may move earlier once more: with the first accepted attempt of an auction whose rules have a clock for it.

Revision: 0042_first_bid_clock, after 0039_freeze_jobs.
"""

import sqlalchemy as sa
from alembic import op

revision = "0042_first_bid_clock"
down_revision = "0039_freeze_jobs"
branch_labels = None
depends_on = None

END_STAYS = "(kind NOT IN ('accept', 'withdraw') AND ends_at < ends_before)"
CLOCK_MAY_START = (
    "(kind NOT IN ('accept', 'withdraw') AND ends_at < ends_before AND (coalesce(sequence, 0) <> 1 OR NOT EXISTS ("
    "SELECT FROM auctions a WHERE a.id = auction_id AND a.rules::jsonb ? 'first_bid_clock_seconds')))"
)


def _replace_in_order_check(old: str, new: str) -> None:
    """Write the function of the trigger `auction_events_in_order` with one condition exchanged."""
    found = op.get_bind().execute(sa.text("SELECT pg_get_functiondef('check_order_of_auction_events'::regproc)"))
    text = found.scalar_one()
    assert old in text
    op.get_bind().exec_driver_sql(text.replace(old, new).replace("%", "%%"))


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _replace_in_order_check(END_STAYS, CLOCK_MAY_START)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _replace_in_order_check(CLOCK_MAY_START, END_STAYS)
