"""`python -m demo`: play the journey; `bidders`: keep bidding on the open auction; `show`: print the credentials."""

import os
import sys
from pathlib import Path

from demo import auctioneering, journey
from demo.client import ApiProblem


def main(arguments: list[str]) -> int:
    """Do one of the three; return the exit code."""
    if arguments == ["show"]:
        journey.show()
    elif arguments == ["bidders"]:
        state = auctioneering.load_state() | {"url": os.environ["DEMO_URL"]}
        auctioneering.keep_bidding(state)
    else:
        played = journey.Journey(os.environ["DEMO_URL"], os.environ["DEMO_PASSWORD"], Path(os.environ["DEMO_STATE"]))
        try:
            played.play()
        except (ApiProblem, TimeoutError, RuntimeError) as failure:
            sys.stderr.write(f"\n{failure}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
