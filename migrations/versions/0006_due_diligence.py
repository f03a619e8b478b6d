"""Due diligence: rooms, documents, disclosures.

Revision: 0006_due_diligence, after 0005_valuation.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006_due_diligence"
down_revision = "0005_valuation"
branch_labels = None
depends_on = None

APPEND_ONLY = (
    "agreement_versions",
    "agreement_acceptances",
    "document_versions",
    "document_readings",
    "document_pages",
    "marked_copies",
    "download_links",
    "disclosures",
)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "rooms",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("package_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column(
            "access",
            sa.Enum(
                "licensed_buyers", "invited", name="room_access", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum("draft", "open", "closed", name="room_state", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisations.id"], name=op.f("fk_rooms_organisation_id")),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_rooms_package_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rooms")),
        sa.UniqueConstraint("package_id", name=op.f("uq_rooms_package_id")),
    )
    op.create_index(op.f("ix_rooms_organisation_id"), "rooms", ["organisation_id"], unique=False)
    op.create_table(
        "agreement_versions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("text_zh", sa.String(), nullable=False),
        sa.Column("text_en", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name=op.f("ck_agreement_versions_sha256_form")),
        sa.CheckConstraint("number >= 1", name=op.f("ck_agreement_versions_number_from_one")),
        sa.ForeignKeyConstraint(["room_id"], ["rooms.id"], name=op.f("fk_agreement_versions_room_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreement_versions")),
        sa.UniqueConstraint("room_id", "number", name=op.f("uq_agreement_versions_room_id_number")),
    )
    op.create_table(
        "folders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("index_number", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "index_number ~ '^[1-9][0-9]*([.][1-9][0-9]*)*$'", name=op.f("ck_folders_index_number_form")
        ),
        sa.ForeignKeyConstraint(["parent_id"], ["folders.id"], name=op.f("fk_folders_parent_id")),
        sa.ForeignKeyConstraint(["room_id"], ["rooms.id"], name=op.f("fk_folders_room_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_folders")),
        sa.UniqueConstraint("room_id", "index_number", name=op.f("uq_folders_room_id_index_number")),
    )
    op.create_table(
        "grants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column(
            "basis",
            sa.Enum("invitation", "licence", name="grant_basis", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum("live", "revoked", name="grant_state", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisations.id"], name=op.f("fk_grants_organisation_id")),
        sa.ForeignKeyConstraint(["room_id"], ["rooms.id"], name=op.f("fk_grants_room_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
    )
    op.create_index("ix_grants_room_id_organisation_id", "grants", ["room_id", "organisation_id"], unique=False)
    op.create_index(
        "uq_grants_live",
        "grants",
        ["room_id", "organisation_id"],
        unique=True,
        postgresql_where=sa.text("state = 'live'"),
    )
    op.create_table(
        "agreement_acceptances",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("grant_id", sa.Uuid(), nullable=False),
        sa.Column("agreement_version_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("user_name", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["agreement_version_id"],
            ["agreement_versions.id"],
            name=op.f("fk_agreement_acceptances_agreement_version_id"),
        ),
        sa.ForeignKeyConstraint(["grant_id"], ["grants.id"], name=op.f("fk_agreement_acceptances_grant_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_agreement_acceptances_organisation_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_agreement_acceptances_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreement_acceptances")),
        sa.UniqueConstraint(
            "grant_id", "agreement_version_id", name=op.f("uq_agreement_acceptances_grant_id_agreement_version_id")
        ),
    )
    op.create_table(
        "documents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("folder_id", sa.Uuid(), nullable=True),
        sa.Column("index_number", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column(
            "audience",
            sa.Enum(
                "buyers", "invited", "internal", name="audience", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "present", "withdrawn", name="document_state", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "index_number ~ '^[1-9][0-9]*([.][1-9][0-9]*)*$'", name=op.f("ck_documents_index_number_form")
        ),
        sa.ForeignKeyConstraint(["folder_id"], ["folders.id"], name=op.f("fk_documents_folder_id")),
        sa.ForeignKeyConstraint(["room_id"], ["rooms.id"], name=op.f("fk_documents_room_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_documents")),
        sa.UniqueConstraint("room_id", "index_number", name=op.f("uq_documents_room_id_index_number")),
    )
    op.create_table(
        "document_versions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("uploaded_by", sa.String(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name=op.f("ck_document_versions_sha256_form")),
        sa.CheckConstraint("number >= 1", name=op.f("ck_document_versions_number_from_one")),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name=op.f("fk_document_versions_document_id")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_files.id"], name=op.f("fk_document_versions_file_id")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_document_versions_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_document_versions")),
        sa.UniqueConstraint("document_id", "number", name=op.f("uq_document_versions_document_id_number")),
    )
    op.create_index(op.f("ix_document_versions_sha256"), "document_versions", ["sha256"], unique=False)
    op.create_table(
        "download_links",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("expires_at > created_at", name=op.f("ck_download_links_expires_later")),
        sa.CheckConstraint("octet_length(token_hash) = 32", name=op.f("ck_download_links_token_hash_length")),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name=op.f("fk_download_links_document_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_download_links_organisation_id")
        ),
        sa.ForeignKeyConstraint(["room_id"], ["rooms.id"], name=op.f("fk_download_links_room_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_download_links")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_download_links_token_hash")),
    )
    op.create_table(
        "disclosures",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("link_id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "document", "masked_tape", name="disclosure_kind", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_name", sa.String(), nullable=False),
        sa.Column("reader_id", sa.Uuid(), nullable=False),
        sa.Column("reader_name", sa.String(), nullable=False),
        sa.Column("document_version_id", sa.Uuid(), nullable=True),
        sa.Column("index_number", sa.String(), nullable=True),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("version_number", sa.BigInteger(), nullable=True),
        sa.Column("original_sha256", sa.String(), nullable=False),
        sa.Column("copy_sha256", sa.String(), nullable=False),
        sa.Column("copy_number", sa.String(), nullable=True),
        sa.CheckConstraint(
            "(kind = 'document') = (document_version_id IS NOT NULL AND copy_number IS NOT NULL)",
            name=op.f("ck_disclosures_document_is_marked"),
        ),
        sa.ForeignKeyConstraint(
            ["document_version_id"], ["document_versions.id"], name=op.f("fk_disclosures_document_version_id")
        ),
        sa.ForeignKeyConstraint(["link_id"], ["download_links.id"], name=op.f("fk_disclosures_link_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisations.id"], name=op.f("fk_disclosures_organisation_id")),
        sa.ForeignKeyConstraint(["room_id"], ["rooms.id"], name=op.f("fk_disclosures_room_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_disclosures")),
        sa.UniqueConstraint("link_id", name=op.f("uq_disclosures_link_id")),
    )
    op.create_index(op.f("ix_disclosures_room_id"), "disclosures", ["room_id"], unique=False)
    op.create_table(
        "document_pages",
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.CheckConstraint("number >= 1", name=op.f("ck_document_pages_number_from_one")),
        sa.ForeignKeyConstraint(["version_id"], ["document_versions.id"], name=op.f("fk_document_pages_version_id")),
        sa.PrimaryKeyConstraint("version_id", "number", name=op.f("pk_document_pages")),
    )
    op.create_table(
        "document_readings",
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column(
            "verdict",
            sa.Enum(
                "ok",
                "no_text",
                "signed",
                "encrypted",
                "malformed",
                "limit",
                "hostile",
                "too_many_pages",
                name="verdict",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("pages", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("pages >= 0", name=op.f("ck_document_readings_pages_not_negative")),
        sa.ForeignKeyConstraint(["version_id"], ["document_versions.id"], name=op.f("fk_document_readings_version_id")),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_document_readings")),
    )
    op.create_table(
        "marked_copies",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("document_version_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("reader_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("marked_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name=op.f("ck_marked_copies_sha256_form")),
        sa.ForeignKeyConstraint(
            ["document_version_id"], ["document_versions.id"], name=op.f("fk_marked_copies_document_version_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_marked_copies_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_marked_copies")),
        sa.UniqueConstraint(
            "document_version_id",
            "organisation_id",
            "reader_id",
            name=op.f("uq_marked_copies_document_version_id_organisation_id_reader_id"),
        ),
        sa.UniqueConstraint("number", name=op.f("uq_marked_copies_number")),
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table("marked_copies")
    op.drop_table("document_readings")
    op.drop_table("document_pages")
    op.drop_index(op.f("ix_disclosures_room_id"), table_name="disclosures")
    op.drop_table("disclosures")
    op.drop_table("download_links")
    op.drop_index(op.f("ix_document_versions_sha256"), table_name="document_versions")
    op.drop_table("document_versions")
    op.drop_table("documents")
    op.drop_table("agreement_acceptances")
    op.drop_index("uq_grants_live", table_name="grants", postgresql_where=sa.text("state = 'live'"))
    op.drop_index("ix_grants_room_id_organisation_id", table_name="grants")
    op.drop_table("grants")
    op.drop_table("folders")
    op.drop_table("agreement_versions")
    op.drop_index(op.f("ix_rooms_organisation_id"), table_name="rooms")
    op.drop_table("rooms")
