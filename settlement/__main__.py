"""Command line, offline and without a database: `python -m settlement {split,close,verify} FILE`.

`split` recomputes a funds flow, `close` a whole closing; `verify` computes a proof package anew and writes it back byte
by byte, or says at which place it differs.
"""

import sys

from marketplace import documents
from settlement.domain.closing_document import close_document, verify
from settlement.domain.split import split

if __name__ == "__main__":
    sys.exit(documents.run("settlement", {"split": split, "close": close_document, "verify": verify}, sys.argv[1:]))
