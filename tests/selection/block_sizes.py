"""Writes digests of each strategy's scores by block size; run in a process of its own."""

import hashlib
import sys

from nextlabel_server.selection import all_strategies
from tests.selection.conformance import CLASSES, Case, required, rounded_rows

BLOCK_ROWS = (700, 100, 37, 7)


def main() -> None:
    for strategy in all_strategies().values():
        for classes in (*CLASSES, 130):
            if strategy.takes_rows and classes >= strategy.min_classes:
                case = Case(strategy, required(strategy.parameters), classes)
                pool = rounded_rows(700, classes)
                scores = [case.scores(pool, rows).tobytes() for rows in BLOCK_ROWS]
                digests = [hashlib.sha256(found).hexdigest()[:16] for found in scores]
                sys.stdout.write(" ".join([str(case), *digests]) + "\n")


if __name__ == "__main__":
    main()
