"""The door of the cases: what routes and other packages may ask. The work is in the files beside it, by subject."""

from marketplace.cases.claims import (
    CaseFile,
    Identity,
    case_file,
    count_open,
    export_cases,
    figures,
    in_state,
    list_cases,
    lock_open_cases,
    matching_obligors,
    move_cases,
    open_cases,
    require_case,
    reveal_identities,
    withdraw_case,
)
from marketplace.cases.delivery import Delivery, deliver_tape, get_tape, list_tapes, tape_errors
from marketplace.cases.importing import import_tape
from marketplace.cases.mappings import list_mappings, save_mapping
from marketplace.cases.naming import fingerprint_names
from marketplace.cases.sameness import same_claims

__all__ = [
    "CaseFile",
    "Delivery",
    "Identity",
    "case_file",
    "count_open",
    "deliver_tape",
    "export_cases",
    "figures",
    "fingerprint_names",
    "get_tape",
    "import_tape",
    "in_state",
    "list_cases",
    "list_mappings",
    "list_tapes",
    "lock_open_cases",
    "matching_obligors",
    "move_cases",
    "open_cases",
    "require_case",
    "reveal_identities",
    "same_claims",
    "save_mapping",
    "tape_errors",
    "withdraw_case",
]
