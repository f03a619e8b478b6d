"""The sale of `tests/settlement/deals`, for the simulation."""

import importlib.util
from pathlib import Path

_SPEC = importlib.util.spec_from_file_location("deals_conftest", Path(__file__).parents[1] / "deals" / "conftest.py")
_DEALS = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_DEALS)
unpaid_sale, sale, deliver = _DEALS.unpaid_sale, _DEALS.sale, _DEALS.deliver
