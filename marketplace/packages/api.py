"""Routes of the packages: bundling, freezing, figures and tapes."""

import uuid
from typing import Any

from flask import Response

from marketplace import http
from marketplace.actor import Role
from marketplace.cases.domain.sheet import CSV, XLSX, to_csv, to_xlsx
from marketplace.db import Page
from marketplace.fields import JobAsked, PageArgs, ReasonIn, page_of
from marketplace.jobs import Job
from marketplace.packages import models, schemas, service
from marketplace.policies import allow, reads
from marketplace.runtime import current

blueprint = http.Blueprint("packages", description="What is sold together, and what does it add up to?")

_MANAGE = allow(Role.SELLER_MANAGER)
_READ = reads(Role.SELLER_MANAGER, Role.SELLER_AGENT)


@blueprint.post("/packages", policy=_MANAGE, idempotent=True)
@blueprint.arguments(schemas.PackageIn)
@blueprint.response(201, schemas.PackageOut)
def create_package(data: dict[str, Any]) -> models.Package:
    """Begin a package: a name and which cases."""
    return service.create_package(http.session(), **data, actor=http.actor(), at=http.at())


@blueprint.get("/packages", policy=_READ)
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.PackageOut))
def list_packages(page: dict[str, Any]) -> Page[models.Package]:
    """List packages, newest first."""
    return service.list_packages(http.session(), **page, actor=http.actor())


@blueprint.get("/packages/<uuid:package_id>", policy=_READ)
@blueprint.response(200, schemas.PackageOut)
def show_package(package_id: uuid.UUID) -> models.Package:
    """Show a package with its header."""
    return service.get_package(http.session(), package_id, actor=http.actor())


@blueprint.post("/packages/<uuid:package_id>/freeze", policy=_MANAGE)
@blueprint.arguments(schemas.FreezeIn)
@blueprint.response(200, schemas.PackageOut)
@blueprint.alt_response(202, schema=JobAsked)
def freeze_package(data: dict[str, Any], package_id: uuid.UUID) -> models.Package | Response:
    """Take every open case that fits and fix all figures as of the cut-off; of many cases a job does it (202)."""
    limit = current().settings.synchronous_cases
    done = service.ask_freeze(http.session(), package_id, **data, limit=limit, actor=http.actor(), at=http.at())
    return http.accepted(done.id) if isinstance(done, Job) else done


@blueprint.post("/packages/<uuid:package_id>/cancel", policy=_MANAGE)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.PackageOut)
def cancel_package(data: dict[str, Any], package_id: uuid.UUID) -> models.Package:
    """Give up a package; its cases are open again."""
    return service.cancel_package(http.session(), package_id, **data, actor=http.actor(), at=http.at())


@blueprint.get("/packages/<uuid:package_id>/strata", policy=_READ)
@blueprint.response(200, schemas.StrataOut)
def show_strata(package_id: uuid.UUID) -> dict[str, Any]:
    """Show the strata of a package."""
    service.get_package(http.session(), package_id, actor=http.actor())
    return {"items": service.strata(http.session(), package_id)}


@blueprint.get("/packages/<uuid:package_id>/tape-versions", policy=_READ)
@blueprint.response(200, schemas.TapeVersionsOut)
def show_tape_versions(package_id: uuid.UUID) -> dict[str, Any]:
    """Show every issue of the tape with its hash."""
    service.get_package(http.session(), package_id, actor=http.actor())
    return {"items": service.tape_versions(http.session(), package_id)}


@blueprint.get("/packages/<uuid:package_id>/tape.csv", policy=_READ)
@blueprint.download(CSV)
def tape_csv(package_id: uuid.UUID) -> Response:
    """Download the tape without identities; its SHA-256 is that of the tape version."""
    content = to_csv(*service.full_tape(http.session(), package_id, actor=http.actor()))
    return http.download(content, name=f"tape-{package_id}.csv", media_type=CSV)


@blueprint.get("/packages/<uuid:package_id>/tape.xlsx", policy=_READ)
@blueprint.download(XLSX)
def tape_xlsx(package_id: uuid.UUID) -> Response:
    """Download the tape as a workbook."""
    content = to_xlsx(*service.full_tape(http.session(), package_id, actor=http.actor()))
    return http.download(content, name=f"tape-{package_id}.xlsx", media_type=XLSX)
