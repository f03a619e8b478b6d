"""`python -m auctions replay FILE`: who won, at what price, when it ended, and the answer to every attempt."""

import sys

from auctions.domain.replay import replay
from marketplace import documents

if __name__ == "__main__":
    sys.exit(documents.run("auctions", {"replay": replay}, sys.argv[1:]))
