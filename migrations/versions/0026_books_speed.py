"""The books at speed: fewer keys on postings, limits of many accounts at once, allocations of large deals apart.

Revision: 0026_books_speed, after 0025_stripe.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026_books_speed"
down_revision = "0025_stripe"
branch_labels = None
depends_on = None

CHECK_POSTINGS = """
CREATE OR REPLACE FUNCTION check_postings() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    wrong record;
    debited uuid[];
BEGIN
    SELECT entry_id, sum(amount_minor) AS total INTO wrong FROM added
        GROUP BY entry_id HAVING sum(amount_minor) <> 0 OR min(line) <> 1 ORDER BY sum(amount_minor) = 0 LIMIT 1;
    IF FOUND AND wrong.total <> 0 THEN
        RAISE EXCEPTION 'entry % does not add up to zero', wrong.entry_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_balanced', TABLE = 'postings';
    ELSIF FOUND THEN
        RAISE EXCEPTION 'entry % is written in one statement and never added to', wrong.entry_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_complete', TABLE = 'postings';
    END IF;
    SELECT a.entry_id INTO wrong FROM (SELECT DISTINCT entry_id, currency, posted_on FROM added) a WHERE NOT EXISTS
        (SELECT FROM entries WHERE id = a.entry_id AND currency = a.currency AND posted_on = a.posted_on) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entry % is not there in that currency and of that day', wrong.entry_id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'fk_postings_entry_id', TABLE = 'postings';
    END IF;
    SELECT a.account_id INTO wrong FROM (SELECT DISTINCT account_id, currency FROM added) a
    WHERE NOT EXISTS (SELECT FROM accounts WHERE id = a.account_id AND currency = a.currency) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'account % is not there in that currency', wrong.account_id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'fk_postings_account_id_currency', TABLE = 'postings';
    END IF;
    debited := array(SELECT id FROM accounts
        WHERE id = ANY (array(SELECT DISTINCT account_id FROM added WHERE amount_minor > 0)) AND limited
        ORDER BY id FOR NO KEY UPDATE);
    SELECT account_id INTO wrong FROM postings WHERE account_id = ANY (debited)
        GROUP BY account_id HAVING sum(amount_minor) > 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'account % does not hold that much', wrong.account_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accounts_limit', TABLE = 'postings';
    END IF;
    RETURN NULL;
END $$
"""
"""One look at the lines of a whole statement, linear in them. The keys to entries and accounts are checked once for
each distinct one: neither is ever changed nor removed, so no lock of their rows is needed. Limits: the rows of all
accounts debited are locked in one order, then, in a statement that sees what was committed meanwhile, summed up."""

CHECK_POSTINGS_BEFORE = """
CREATE OR REPLACE FUNCTION check_postings() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    wrong uuid;
    debited uuid;
BEGIN
    SELECT entry_id INTO wrong FROM added GROUP BY entry_id HAVING sum(amount_minor) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entry % does not add up to zero', wrong
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_balanced', TABLE = 'postings';
    END IF;
    SELECT entry_id INTO wrong FROM added GROUP BY entry_id HAVING min(line) <> 1 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entry % is written in one statement and never added to', wrong
            USING ERRCODE = 'check_violation', CONSTRAINT = 'entries_complete', TABLE = 'postings';
    END IF;
    SELECT a.account_id INTO wrong FROM (SELECT DISTINCT account_id, currency FROM added) a
    WHERE NOT EXISTS (SELECT FROM accounts WHERE id = a.account_id AND currency = a.currency) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'account % is not there in that currency', wrong
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'fk_postings_account_id_currency', TABLE = 'postings';
    END IF;
    FOR debited IN SELECT DISTINCT account_id FROM added WHERE amount_minor > 0 ORDER BY account_id LOOP
        PERFORM 1 FROM accounts WHERE id = debited AND limited FOR NO KEY UPDATE;
        IF FOUND AND (SELECT sum(amount_minor) FROM postings WHERE account_id = debited) > 0 THEN
            RAISE EXCEPTION 'account % does not hold that much', debited
                USING ERRCODE = 'check_violation', CONSTRAINT = 'accounts_limit', TABLE = 'postings';
        END IF;
    END LOOP;
    RETURN NULL;
END $$
"""

OPEN_SEGMENT = """
CREATE FUNCTION open_allocation_segment(deal uuid) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    segment bigint;
BEGIN
    PERFORM FROM deals d JOIN packages p ON p.id = d.package_id WHERE d.id = deal FOR NO KEY UPDATE OF p;
    PERFORM FROM deals d JOIN awards a ON a.id = d.award_id WHERE d.id = deal AND cardinality(a.lots) = 0
        AND NOT EXISTS (SELECT FROM deals o
            WHERE o.package_id = d.package_id AND o.id <> d.id AND o.net_minor IS NOT NULL);
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    segment := nextval('allocation_segments.number');
    EXECUTE format('CREATE TABLE allocation_segments.segment_%s (LIKE allocations INCLUDING CONSTRAINTS,
        CONSTRAINT one_deal CHECK (segment = %s AND deal_id = %L))', segment, segment, deal);
    RETURN segment;
END $$
"""
"""None for a deal about lots, or beside another of its package: whose cases those are is checked for each (0028)."""

ATTACH_SEGMENT = """
CREATE FUNCTION attach_allocation_segment(segment bigint, deal uuid) RETURNS void LANGUAGE plpgsql
SET maintenance_work_mem = '256MB' AS $$
BEGIN
    EXECUTE format('ALTER TABLE allocation_segments.segment_%s ADD PRIMARY KEY (case_id, deal_id, segment)', segment);
    PERFORM guard_allocation_segment(segment);
    EXECUTE format('ALTER TABLE allocations ATTACH PARTITION allocation_segments.segment_%s FOR VALUES IN (%s)',
        segment, segment);
    PERFORM check_allocations(deal);
END $$
"""
"""A deal with very many cases is written into a table of its own, whose key is built once all rows are there, and which
then becomes a partition of `allocations`. Nobody sees it before the transaction ends, and it is checked as a whole."""

GUARD_SEGMENT = """
CREATE FUNCTION guard_allocation_segment(segment bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER allocations_append_only BEFORE UPDATE OR DELETE OR TRUNCATE'
        ' ON allocation_segments.segment_%s FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', segment);
    EXECUTE format('CREATE TRIGGER allocations_add_up AFTER INSERT ON allocation_segments.segment_%s'
        ' REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION allocations_add_up()', segment);
END $$
"""
"""Statement triggers of `allocations` do not fire for what is written to a partition directly; each has its own."""

CHECK_ALLOCATIONS = """
CREATE FUNCTION check_allocations(deal uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    found record;
BEGIN
    EXECUTE format('SELECT sum(amount_minor) AS total, count(*) AS cases FROM allocations WHERE deal_id = %L', deal)
        INTO found;
    IF NOT EXISTS (SELECT FROM deals WHERE id = deal AND net_minor = found.total AND case_count = found.cases) THEN
        RAISE EXCEPTION 'the allocations of deal % do not add up to its net proceeds', deal
            USING ERRCODE = 'check_violation', CONSTRAINT = 'allocations_add_up', TABLE = 'allocations';
    END IF;
END $$
"""
"""Over all segments: those of other deals are left out by their own constraint, which the planner holds against a deal
that is written out."""

ALLOCATIONS_ADD_UP = """
CREATE OR REPLACE FUNCTION allocations_add_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM check_allocations(deal_id) FROM (SELECT DISTINCT deal_id FROM added) AS d;
    RETURN NULL;
END $$
"""

DEALS_ALLOCATED = """
CREATE OR REPLACE FUNCTION deals_allocated() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found record;
BEGIN
    EXECUTE format('SELECT coalesce(sum(amount_minor), 0) AS total, count(*) AS cases FROM allocations'
        ' WHERE deal_id = %L', NEW.id) INTO found;
    IF (found.total, found.cases) IS DISTINCT FROM (CAST(NEW.net_minor AS numeric), NEW.case_count) THEN
        RAISE EXCEPTION 'deal % is distributed and its allocations do not add up to its net proceeds', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'deals_allocated', TABLE = 'deals';
    END IF;
    RETURN NULL;
END $$
"""

ALLOCATIONS_ADD_UP_BEFORE = """
CREATE OR REPLACE FUNCTION allocations_add_up() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong uuid;
BEGIN
    SELECT t.deal_id INTO wrong FROM (
        SELECT deal_id, sum(amount_minor) AS total, count(*) AS cases FROM allocations
        WHERE deal_id IN (SELECT DISTINCT deal_id FROM added) GROUP BY deal_id
    ) t LEFT JOIN deals d ON d.id = t.deal_id
    WHERE (d.net_minor, d.case_count) IS DISTINCT FROM (t.total, t.cases) LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'the allocations of deal % do not add up to its net proceeds', wrong
            USING ERRCODE = 'check_violation', CONSTRAINT = 'allocations_add_up', TABLE = 'allocations';
    END IF;
    RETURN NULL;
END $$
"""

DEALS_ALLOCATED_BEFORE = """
CREATE OR REPLACE FUNCTION deals_allocated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT (coalesce(sum(amount_minor), 0), count(*)) FROM allocations WHERE deal_id = NEW.id)
        IS DISTINCT FROM (CAST(NEW.net_minor AS numeric), NEW.case_count) THEN
        RAISE EXCEPTION 'deal % is distributed and its allocations do not add up to its net proceeds', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'deals_allocated', TABLE = 'deals';
    END IF;
    RETURN NULL;
END $$
"""
CHECKS = (("weight", "weight_not_negative"), ("amount_minor", "amount_not_negative"))
FUNCTIONS = (CHECK_ALLOCATIONS, ALLOCATIONS_ADD_UP, DEALS_ALLOCATED, GUARD_SEGMENT, OPEN_SEGMENT, ATTACH_SEGMENT)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _lighten_books()
    _partition_allocations()


def _partition_allocations() -> None:
    op.execute("CREATE SCHEMA allocation_segments")
    op.execute("CREATE SEQUENCE allocation_segments.number")
    _create_allocations("segment", postgresql_partition_by="LIST (segment)")
    op.execute(
        "CREATE TABLE allocation_segments.segment_0 (LIKE allocations INCLUDING CONSTRAINTS,"
        " PRIMARY KEY (case_id, deal_id, segment))"
    )
    op.execute("CREATE INDEX ix_segment_0_deal_id ON allocation_segments.segment_0 (deal_id, case_id)")
    op.execute(
        "INSERT INTO allocation_segments.segment_0 (segment, deal_id, case_id, case_key, weight, amount_minor)"
        " SELECT 0, deal_id, case_id, case_key, weight, amount_minor FROM allocations_before"
    )
    op.execute("DROP TABLE allocations_before")
    for function in (
        CHECK_ALLOCATIONS,
        ALLOCATIONS_ADD_UP,
        DEALS_ALLOCATED,
        GUARD_SEGMENT,
        OPEN_SEGMENT,
        ATTACH_SEGMENT,
    ):
        op.execute(function)
    op.execute("SELECT guard_allocation_segment(0)")
    op.execute("ALTER TABLE allocations ATTACH PARTITION allocation_segments.segment_0 FOR VALUES IN (0)")
    _guard_allocations()


def _create_allocations(*first: str, **options: str) -> None:
    """Make the table anew beside the one that is there, which becomes `allocations_before`."""
    op.execute("ALTER TABLE allocations RENAME TO allocations_before")
    for name in ("pk_allocations", *(f"ck_allocations_{name}" for _, name in CHECKS)):
        op.execute(f"ALTER TABLE allocations_before DROP CONSTRAINT {name}")
    key = ("case_id", "deal_id", *first) if first else ("deal_id", "case_id")
    op.create_table(
        "allocations",
        *(sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=False) for name in first),
        sa.Column("deal_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("case_key", sa.String(), nullable=False),
        sa.Column("weight", sa.BigInteger(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        *(sa.CheckConstraint(f"{column} >= 0", name=op.f(f"ck_allocations_{name}")) for column, name in CHECKS),
        sa.PrimaryKeyConstraint(*key, name=op.f("pk_allocations")),
        **options,
    )


def _guard_allocations() -> None:
    op.execute(
        "CREATE TRIGGER allocations_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON allocations "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER allocations_add_up AFTER INSERT ON allocations REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION allocations_add_up()"
    )


def _lighten_books() -> None:
    op.drop_constraint(op.f("fk_postings_entry_id_currency_posted_on"), "postings", type_="foreignkey")
    op.drop_constraint(op.f("uq_entries_id_currency_posted_on"), "entries", type_="unique")
    op.drop_constraint(op.f("uq_entries_reverses_id"), "entries", type_="unique")
    op.create_index(
        "uq_entries_reverses_id",
        "entries",
        ["reverses_id"],
        unique=True,
        postgresql_where=sa.text("reverses_id IS NOT NULL"),
    )
    op.execute(
        "ALTER TABLE postings ADD CONSTRAINT fk_postings_entry_id FOREIGN KEY (entry_id) REFERENCES entries (id)"
        " NOT ENFORCED"
    )
    op.execute(CHECK_POSTINGS)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _gather_allocations()
    op.execute(CHECK_POSTINGS_BEFORE)
    op.drop_constraint(op.f("fk_postings_entry_id"), "postings", type_="foreignkey")
    op.drop_index("uq_entries_reverses_id", "entries")
    op.create_unique_constraint(op.f("uq_entries_reverses_id"), "entries", ["reverses_id"])
    op.create_unique_constraint(op.f("uq_entries_id_currency_posted_on"), "entries", ["id", "currency", "posted_on"])
    op.create_foreign_key(
        op.f("fk_postings_entry_id_currency_posted_on"),
        "postings",
        "entries",
        ["entry_id", "currency", "posted_on"],
        ["id", "currency", "posted_on"],
    )


def _gather_allocations() -> None:
    _create_allocations()
    op.execute(
        "INSERT INTO allocations (deal_id, case_id, case_key, weight, amount_minor)"
        " SELECT deal_id, case_id, case_key, weight, amount_minor FROM allocations_before"
    )
    op.execute("DROP TABLE allocations_before CASCADE")
    for function in ("open_allocation_segment(uuid)", "attach_allocation_segment(bigint, uuid)"):
        op.execute(f"DROP FUNCTION {function}")
    for function in ("guard_allocation_segment(bigint)", "check_allocations(uuid)"):
        op.execute(f"DROP FUNCTION {function}")
    op.execute("DROP SCHEMA allocation_segments CASCADE")
    op.execute(ALLOCATIONS_ADD_UP_BEFORE)
    op.execute(DEALS_ALLOCATED_BEFORE)
    _guard_allocations()
