"""`python -m collection compute FILE`: balances, order of payments, delay interest, plans, clocks, offline."""

import sys

from collection.domain import computations
from marketplace import documents

if __name__ == "__main__":
    sys.exit(documents.run("collection", {"compute": computations.compute}, sys.argv[1:]))
