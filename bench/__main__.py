"""``python -m bench [--quick | --smoke] [NAME ...]``: run benchmarks by name, or all.

``--quick`` measures less, in a few minutes, and its tables say so. ``--smoke`` measures next to
nothing and writes nothing: it shows that a benchmark runs.
"""

import argparse
import time
from importlib import import_module

from bench.sizes import Size

# Each is a module with a function `run`, which is imported when it is wanted: all of them import
# nearly all that there is.
MODULES = {"servers": "third_party"}
NAMES = (
    "stack", "arriving", "fleets", "cleaning", "watching", "intake", "ledger", "retention",
    "compaction", "recovery", "models", "training", "wide", "drives", "engines", "serving",
    "series", "servers", "files", "scoring", "many_models", "console", "swapping", "replicas",
    "attack",
)  # fmt: skip


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *NAMES], metavar="NAME")
    sizes = parser.add_mutually_exclusive_group()
    for size in (Size.QUICK, Size.SMOKE):
        sizes.add_argument(
            f"--{size}", dest="size", action="store_const", const=size, default=Size.FULL
        )
    wanted = parser.parse_args()
    for name in wanted.names or NAMES:
        began = time.monotonic()
        import_module(f"bench.{MODULES.get(name, name)}").run(wanted.size)
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)


main()
