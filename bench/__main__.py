"""``python -m bench [--quick | --smoke] [NAME ...]``: run benchmarks by name, or all.

``--quick`` measures less, in a few minutes, and its tables say so. ``--smoke`` measures next to
nothing and writes nothing: it shows that a benchmark runs.
"""

import argparse
import time
from collections.abc import Callable

from bench import (
    attack,
    cleaning,
    compaction,
    drives,
    engines,
    files,
    fleets,
    intake,
    ledger,
    many_models,
    models,
    recovery,
    replicas,
    retention,
    scoring,
    series,
    serving,
    stack,
    swapping,
    third_party,
    training,
    watching,
    wide,
)
from bench.sizes import Size

BENCHMARKS: dict[str, Callable[[Size], None]] = {
    "stack": stack.run,
    "fleets": fleets.run,
    "cleaning": cleaning.run,
    "watching": watching.run,
    "intake": intake.run,
    "ledger": ledger.run,
    "retention": retention.run,
    "compaction": compaction.run,
    "recovery": recovery.run,
    "models": models.run,
    "training": training.run,
    "wide": wide.run,
    "drives": drives.run,
    "engines": engines.run,
    "serving": serving.run,
    "series": series.run,
    "servers": third_party.run,
    "files": files.run,
    "scoring": scoring.run,
    "many_models": many_models.run,
    "swapping": swapping.run,
    "replicas": replicas.run,
    "attack": attack.run,
}


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *BENCHMARKS], metavar="NAME")
    sizes = parser.add_mutually_exclusive_group()
    for size in (Size.QUICK, Size.SMOKE):
        sizes.add_argument(
            f"--{size}", dest="size", action="store_const", const=size, default=Size.FULL
        )
    wanted = parser.parse_args()
    for name in wanted.names or BENCHMARKS:
        began = time.monotonic()
        BENCHMARKS[name](wanted.size)
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)


main()
