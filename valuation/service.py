"""The door of valuation: what routes and later stages may ask. The work is in the files beside it, by subject."""

from valuation.appraising import (
    AppraisalShown,
    accepted_appraisal,
    appraisers_of,
    attach_report,
    decide,
    decline,
    engage,
    get_appraisal,
    list_appraisals,
    report_of,
    request_appraisal,
    submit,
    tape_for_valuer,
)
from valuation.modelling import (
    ImpliedReserve,
    Opinion,
    implied_reserve,
    list_assumptions,
    list_valuations,
    save_assumptions,
    value_opinions,
    value_package,
)
from valuation.models import Appraisal, Valuation

__all__ = [
    "Appraisal",
    "AppraisalShown",
    "ImpliedReserve",
    "Opinion",
    "Valuation",
    "accepted_appraisal",
    "appraisers_of",
    "attach_report",
    "decide",
    "decline",
    "engage",
    "get_appraisal",
    "implied_reserve",
    "list_appraisals",
    "list_assumptions",
    "list_valuations",
    "report_of",
    "request_appraisal",
    "save_assumptions",
    "submit",
    "tape_for_valuer",
    "value_opinions",
    "value_package",
]
