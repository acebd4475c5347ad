"""``python -m bench [NAME]``: run one benchmark, or all."""

import sys
from collections.abc import Callable

from bench import stack

BENCHMARKS: dict[str, Callable[[], None]] = {"stack": stack.run}

for name in sys.argv[1:] or BENCHMARKS:
    BENCHMARKS[name]()
