"""The door of the packages: what routes and later stages may ask. The work is in the files beside it, by subject."""

from marketplace.packages.bundling import (
    create_package,
    get_package,
    header,
    list_package,
    list_packages,
    require_package,
    strata,
    tape_versions,
    unlist_package,
)
from marketplace.packages.columns import CaseColumns, Ids, Keys, case_columns
from marketplace.packages.disposal import cancel_package, full_tape, masked_tape
from marketplace.packages.domain.header import PackageHeader, package_header
from marketplace.packages.domain.package import FrozenCase, PackageState
from marketplace.packages.freeze_jobs import ask_freeze
from marketplace.packages.freezing import freeze_package, frozen_cases, live_cases, packages_holding
from marketplace.packages.models import Package, Stratum, TapeVersion
from marketplace.packages.parting import is_whole, return_cases, sell_package, split_package
from marketplace.packages.relations import claims_held_in, families, has_companies_outside, owes_in

__all__ = [
    "CaseColumns",
    "FrozenCase",
    "Ids",
    "Keys",
    "Package",
    "PackageHeader",
    "PackageState",
    "Stratum",
    "TapeVersion",
    "ask_freeze",
    "cancel_package",
    "case_columns",
    "claims_held_in",
    "create_package",
    "families",
    "freeze_package",
    "frozen_cases",
    "full_tape",
    "get_package",
    "has_companies_outside",
    "header",
    "is_whole",
    "list_package",
    "list_packages",
    "live_cases",
    "masked_tape",
    "owes_in",
    "package_header",
    "packages_holding",
    "require_package",
    "return_cases",
    "sell_package",
    "split_package",
    "strata",
    "tape_versions",
    "unlist_package",
]
