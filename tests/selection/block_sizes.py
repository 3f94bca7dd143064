"""Writes digests of each strategy's scores by block size; run in a process of its own."""

import hashlib
import sys

from tests.selection.conformance import CLASSES, plain_cases, row_wise_strategies

BLOCK_ROWS = (700, 100, 37, 7)


def main() -> None:
    for strategy in row_wise_strategies():
        if not strategy.takes_rows:
            continue
        for case in plain_cases(strategy, (*CLASSES, 130)):
            pool = case.pool(700, rounded=True)
            scores = [case.scores(pool, rows).tobytes() for rows in BLOCK_ROWS]
            digests = [hashlib.sha256(found).hexdigest()[:16] for found in scores]
            sys.stdout.write(" ".join([str(case), *digests]) + "\n")


if __name__ == "__main__":
    main()
