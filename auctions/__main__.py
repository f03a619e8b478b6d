"""What auctions can say offline: `replay FILE`, who won at what price; `verify BUNDLE`, whether the evidence holds."""

import sys

from auctions import verifying
from auctions.domain.replay import replay
from marketplace import documents

if __name__ == "__main__":
    if sys.argv[1:2] == ["verify"]:
        sys.exit(verifying.run(sys.argv[2:]))
    sys.exit(documents.run("auctions", {"replay": replay}, sys.argv[1:]))
