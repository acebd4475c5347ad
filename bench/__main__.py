"""``python -m bench [NAME]``: run one benchmark, or all."""

import sys
from collections.abc import Callable

from bench import cleaning, intake, models, serving, stack, swapping, training, watching

BENCHMARKS: dict[str, Callable[[], None]] = {
    "stack": stack.run,
    "cleaning": cleaning.run,
    "watching": watching.run,
    "intake": intake.run,
    "models": models.run,
    "training": training.run,
    "serving": serving.run,
    "files": serving.run_files,
    "swapping": swapping.run,
}

for name in sys.argv[1:] or BENCHMARKS:
    BENCHMARKS[name]()
