"""Command line: `python -m settlement split FILE` recomputes a funds flow offline, without a database."""

import sys

from marketplace import documents
from settlement.domain.split import split

if __name__ == "__main__":
    sys.exit(documents.run("settlement", {"split": split}, sys.argv[1:]))
