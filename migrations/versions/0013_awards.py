"""Eligibility, conflicts, award deadlines, webhooks.

Revision: 0013_awards, after 0012_listing_rules.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013_awards"
down_revision = "0012_listing_rules"
branch_labels = None
depends_on = None

_STATES = ("waiting", "pending", "protocol_confirmed", "contracted", "failed", "released")
_STATES_BEFORE = ("waiting", "pending", "contracted", "failed", "released")
_PLAIN = (
    '{"regime": "plain", "calendar": "cn", "zone": "Asia/Shanghai", "protocol_required": false, '
    '"protocol_days": null, "contract_days": null, "prolongation_days": [], "fails_when_overdue": false, '
    '"promotes_next": false}'
)
_CHECKS = {
    "turn_positive": "slot > 0 AND place > 0",
    "in_force_since": "state NOT IN ('pending', 'protocol_confirmed', 'contracted') OR in_force_at IS NOT NULL",
    "protocol_confirmed": "state <> 'protocol_confirmed' OR protocol_confirmed_at IS NOT NULL",
    "failed_for_a_cause": "(state = 'failed') = (failure_cause IS NOT NULL)",
    "ended_when_over": "(state IN ('failed', 'released', 'contracted')) = (ended_at IS NOT NULL)",
    "failure_cause": "failure_cause IN ('buyer_defaulted', 'seller_declined', 'not_eligible', 'deadline_passed')",
}
_APPEND_ONLY = ("award_prolongations", "defaults", "webhook_attempts")


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _identities()
    _eligibility()
    _awards()
    _after_the_hammer()
    _webhooks()
    for table in _APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def _states(states: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_awards_award_state"), "awards", type_="check")
    listed = ", ".join(f"'{state}'" for state in states)
    op.create_check_constraint(op.f("ck_awards_award_state"), "awards", f"state IN ({listed})")


def _identities() -> None:
    op.create_table(
        "affiliates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "owner", "officer", "staff", name="affiliate_kind", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("identity_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind = 'staff' OR fingerprint IS NOT NULL", name=op.f("ck_affiliates_identity_of_owners")),
        sa.CheckConstraint(
            "(identity_sealed IS NULL) = (fingerprint IS NULL)", name=op.f("ck_affiliates_fingerprint_with_identity")
        ),
        sa.CheckConstraint("octet_length(fingerprint) = 32", name=op.f("ck_affiliates_fingerprint_length")),
        sa.CheckConstraint("octet_length(name_fingerprint) = 32", name=op.f("ck_affiliates_name_fingerprint_length")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisations.id"], name=op.f("fk_affiliates_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_affiliates")),
    )
    op.create_index(op.f("ix_affiliates_organisation_id"), "affiliates", ["organisation_id"], unique=False)
    op.create_index(
        "uq_affiliates_live",
        "affiliates",
        ["organisation_id", "kind", "fingerprint"],
        unique=True,
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.add_column("obligors", sa.Column("name_fingerprint", sa.LargeBinary(), nullable=True))


def _eligibility() -> None:
    op.create_table(
        "interest_conflicts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("registration_id", sa.Uuid(), nullable=False),
        sa.Column(
            "rule",
            sa.Enum(
                "related_to_debtor",
                "related_to_appraiser",
                "related_to_seller",
                "related_to_operator",
                name="conflict_rule",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("certain", sa.Boolean(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "flagged",
                "cleared",
                "upheld",
                name="conflict_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.CheckConstraint(
            "(state = 'flagged') = (decided_at IS NULL)", name=op.f("ck_interest_conflicts_decided_when_over")
        ),
        sa.CheckConstraint("NOT certain OR state = 'upheld'", name=op.f("ck_interest_conflicts_certain_is_upheld")),
        sa.ForeignKeyConstraint(
            ["registration_id"], ["registrations.id"], name=op.f("fk_interest_conflicts_registration_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_interest_conflicts")),
        sa.UniqueConstraint(
            "registration_id", "rule", "certain", name=op.f("uq_interest_conflicts_registration_id_rule_certain")
        ),
    )
    op.add_column(
        "registrations", sa.Column("no_resale_required", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("registrations", sa.Column("no_resale_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "registrations", sa.Column("out_of_province", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    for column in ("no_resale_required", "out_of_province"):
        op.alter_column("registrations", column, server_default=None)


def _awards() -> None:
    """Awards of before were made without deadlines, in the order of their rows; why they failed was not kept."""
    _states(_STATES)
    op.add_column("awards", sa.Column("slot", sa.BigInteger(), nullable=False, server_default="1"))
    op.add_column("awards", sa.Column("place", sa.BigInteger(), nullable=False, server_default="1"))
    op.add_column("awards", sa.Column("lots", postgresql.ARRAY(sa.Text()), nullable=False, server_default="{}"))
    op.add_column("awards", sa.Column("terms", postgresql.JSONB(), nullable=False, server_default=_PLAIN))
    op.add_column("awards", sa.Column("in_force_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("awards", sa.Column("protocol_due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("awards", sa.Column("protocol_confirmed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("awards", sa.Column("contract_due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("awards", sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "awards",
        sa.Column(
            "failure_cause",
            sa.Enum(
                "buyer_defaulted",
                "seller_declined",
                "not_eligible",
                "deadline_passed",
                name="failure_cause",
                native_enum=False,
                create_constraint=False,
                length=40,
            ),
            nullable=True,
        ),
    )
    for column in ("slot", "place", "lots", "terms"):
        op.alter_column("awards", column, server_default=None)
    op.execute(
        """
        UPDATE awards SET place = turn.place,
            in_force_at = CASE WHEN state IN ('pending', 'contracted', 'failed') THEN created_at END,
            ended_at = CASE WHEN state IN ('contracted', 'failed', 'released') THEN created_at END,
            failure_cause = CASE WHEN state = 'failed' THEN 'deadline_passed' END
        FROM (SELECT id, row_number() OVER (PARTITION BY auction_id ORDER BY id) AS place FROM awards) AS turn
        WHERE turn.id = awards.id
        """
    )
    for name, condition in _CHECKS.items():
        op.create_check_constraint(op.f(f"ck_awards_{name}"), "awards", condition)
    op.drop_index(op.f("uq_awards_in_force"), table_name="awards")
    op.create_index(
        "uq_awards_in_force",
        "awards",
        ["auction_id", "slot"],
        unique=True,
        postgresql_where=sa.text("state IN ('pending', 'protocol_confirmed', 'contracted')"),
    )
    op.drop_index(op.f("uq_awards_registration"), table_name="awards")
    op.create_index("uq_awards_registration", "awards", ["auction_id", "slot", "registration_id"], unique=True)
    op.create_index(
        "ix_awards_due",
        "awards",
        ["protocol_due_at", "contract_due_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('pending', 'protocol_confirmed')"),
    )


def _after_the_hammer() -> None:
    op.create_table(
        "award_prolongations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("award_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("previous_due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("due_at > previous_due_at", name=op.f("ck_award_prolongations_later")),
        sa.CheckConstraint("number BETWEEN 1 AND 2", name=op.f("ck_award_prolongations_at_most_two")),
        sa.ForeignKeyConstraint(["award_id"], ["awards.id"], name=op.f("fk_award_prolongations_award_id")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_files.id"], name=op.f("fk_award_prolongations_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_award_prolongations")),
        sa.UniqueConstraint("award_id", "number", name=op.f("uq_award_prolongations_award_id_number")),
    )
    op.create_table(
        "defaults",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("award_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("package_id", sa.Uuid(), nullable=False),
        sa.Column("regime", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("price_minor > 0", name=op.f("ck_defaults_price_positive")),
        sa.ForeignKeyConstraint(["award_id"], ["awards.id"], name=op.f("fk_defaults_award_id")),
        sa.ForeignKeyConstraint(["listing_id"], ["listings.id"], name=op.f("fk_defaults_listing_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisations.id"], name=op.f("fk_defaults_organisation_id")),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_defaults_package_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_defaults")),
        sa.UniqueConstraint("award_id", name=op.f("uq_defaults_award_id")),
    )
    op.create_index(
        "ix_defaults_package_id_organisation_id", "defaults", ["package_id", "organisation_id"], unique=False
    )


def _webhooks() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("kinds", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column(
            "state",
            sa.Enum("enabled", "disabled", name="endpoint_state", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("failures >= 0", name=op.f("ck_webhook_endpoints_failures_counted")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_webhook_endpoints_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoints")),
        sa.UniqueConstraint("organisation_id", "url", name=op.f("uq_webhook_endpoints_organisation_id_url")),
    )
    op.create_table(
        "webhook_messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("event_key", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("given_up_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_webhook_messages_attempts_counted")),
        sa.CheckConstraint("delivered_at IS NULL OR given_up_at IS NULL", name=op.f("ck_webhook_messages_one_end")),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoints.id"], name=op.f("fk_webhook_messages_endpoint_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_messages")),
        sa.UniqueConstraint("endpoint_id", "event_key", name=op.f("uq_webhook_messages_endpoint_id_event_key")),
    )
    op.create_index(
        "ix_webhook_messages_due",
        "webhook_messages",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("delivered_at IS NULL AND given_up_at IS NULL"),
    )
    op.create_index("ix_webhook_messages_endpoint_id", "webhook_messages", ["endpoint_id", "id"], unique=False)
    op.create_table(
        "webhook_attempts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("milliseconds", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("milliseconds >= 0", name=op.f("ck_webhook_attempts_duration_not_negative")),
        sa.ForeignKeyConstraint(["message_id"], ["webhook_messages.id"], name=op.f("fk_webhook_attempts_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_attempts")),
    )
    op.create_index("ix_webhook_attempts_message_id", "webhook_attempts", ["message_id", "id"], unique=False)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in ("webhook_attempts", "webhook_messages", "webhook_endpoints", "defaults", "award_prolongations"):
        op.drop_table(table)
    for index in ("ix_awards_due", "uq_awards_registration", "uq_awards_in_force"):
        op.drop_index(index, table_name="awards")
    for name in _CHECKS:
        op.drop_constraint(op.f(f"ck_awards_{name}"), "awards", type_="check")
    # a protocol that was confirmed is, without that state, an award that waits for its contract
    op.execute("UPDATE awards SET state = 'pending' WHERE state = 'protocol_confirmed'")
    _states(_STATES_BEFORE)
    for column in (
        "slot", "place", "lots", "terms", "in_force_at", "protocol_due_at", "protocol_confirmed_at", "contract_due_at",
        "ended_at", "failure_cause",
    ):  # fmt: skip
        op.drop_column("awards", column)
    op.create_index("uq_awards_registration", "awards", ["auction_id", "registration_id"], unique=True)
    op.create_index(
        "uq_awards_in_force",
        "awards",
        ["auction_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('pending', 'contracted')"),
    )
    for column in ("no_resale_required", "no_resale_at", "out_of_province"):
        op.drop_column("registrations", column)
    op.drop_table("interest_conflicts")
    op.drop_column("obligors", "name_fingerprint")
    op.drop_table("affiliates")
