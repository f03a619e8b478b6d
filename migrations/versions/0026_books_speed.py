"""The books at speed: fewer keys on postings, limits of many accounts at once, allocations of large deals apart.

Revision: 0026_books_speed, after 0024_after_sale.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026_books_speed"
down_revision = "0024_after_sale"
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

PARTS = """
CREATE SCHEMA allocation_parts
"""

OPEN_PART = """
CREATE FUNCTION open_allocation_part(deal uuid) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    number bigint := nextval('allocation_parts.number');
BEGIN
    EXECUTE format('CREATE TABLE allocation_parts.part_%s (LIKE public.allocations INCLUDING CONSTRAINTS,
        CONSTRAINT one_deal CHECK (part = %s AND deal_id = %L))', number, number, deal);
    RETURN number;
END $$
"""

ATTACH_PART = """
CREATE FUNCTION attach_allocation_part(number bigint, deal uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE allocation_parts.part_%s ADD PRIMARY KEY (case_id, deal_id, part)', number);
    EXECUTE format('ALTER TABLE public.allocations ATTACH PARTITION allocation_parts.part_%s FOR VALUES IN (%s)',
        number, number);
    PERFORM check_allocations(deal);
    PERFORM guard_allocation_part(number);
END $$
"""
"""A deal with very many cases is written into a table of its own, whose key is built once all rows are there, and which
then becomes a part of `allocations`. Nobody sees it before the transaction ends."""

GUARD_PART = """
CREATE FUNCTION guard_allocation_part(number bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER allocations_append_only BEFORE UPDATE OR DELETE OR TRUNCATE'
        ' ON allocation_parts.part_%s FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', number);
    EXECUTE format('CREATE TRIGGER allocations_add_up AFTER INSERT ON allocation_parts.part_%s'
        ' REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION allocations_add_up()', number);
END $$
"""
"""Statement triggers of `allocations` do not fire for what is written to a part directly; a part has its own."""

CHECK_ALLOCATIONS = """
CREATE FUNCTION check_allocations(deal uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    found record;
    agreed boolean;
BEGIN
    EXECUTE format('SELECT sum(amount_minor) AS total, count(*) AS cases FROM allocations WHERE deal_id = %L', deal)
        INTO found;
    SELECT (d.net_minor, d.case_count) IS NOT DISTINCT FROM (found.total, found.cases) INTO agreed
        FROM deals d WHERE d.id = deal;
    IF agreed IS NOT TRUE THEN
        RAISE EXCEPTION 'the allocations of deal % do not add up to its net proceeds', deal
            USING ERRCODE = 'check_violation', CONSTRAINT = 'allocations_add_up', TABLE = 'allocations';
    END IF;
END $$
"""
"""Over every part: one that belongs to another deal is left out by its own constraint, which a literal lets the planner
see, so the deal is written out."""

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


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _lighten_books()


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
