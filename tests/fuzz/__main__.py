"""Fuzzes one target, guided by coverage: `python -m tests.fuzz TARGET CORPUS [libFuzzer options]`.

CORPUS is a directory; real messages are put there first, and what reaches new code is kept there.
It ends with a code other than 0 as soon as something goes wrong, and leaves the input in a file.
"""

import hashlib
import random
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["nextlabel.blocks", "nextlabel.wire", "nextlabel_server"]):
    from nextlabel_server import logs
    from nextlabel_server.selection import all_strategies
    from tests.fuzz.targets import target_named

    all_strategies()


def main(name: str, corpus: str, *options: str) -> None:
    logs.configure("error", "console")
    directory = Path(corpus)
    directory.mkdir(parents=True, exist_ok=True)
    with target_named(name) as target:
        for seed in target.seeds():
            (directory / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)

        def mutated(data: bytes, max_size: int, seed: int) -> bytes:
            rng = random.Random(seed)
            if rng.random() < 0.2:
                return atheris.Mutate(data, len(data) + 8)[:max_size]
            return target.mutate(data, rng)[:max_size]

        arguments = [sys.argv[0], corpus, "-timeout=60", "-rss_limit_mb=4096", *options]
        atheris.Setup(arguments, target.run, custom_mutator=mutated)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
