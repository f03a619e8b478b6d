"""`python -m valuation value FILE`: what a method gives for stored inputs, offline."""

import sys

from marketplace import documents
from valuation.domain import methods

if __name__ == "__main__":
    sys.exit(documents.run("valuation", {"value": methods.value}, sys.argv[1:]))
