"""Many fits at once: a thread each, and no more threads within."""

from collections.abc import Iterator
from contextlib import contextmanager

import joblib
from threadpoolctl import threadpool_limits


@contextmanager
def one_thread_a_fit() -> Iterator[None]:
    """Have :class:`joblib.Parallel` take a thread a core, and the linear algebra in each just one.

    libsvm releases the interpreter's lock: threads use every core without copies of the data. The
    threads of the linear algebra below would be as many again for each, which wait for each other
    in loops: on two busy cores that was more than half of all the time.
    """
    with joblib.parallel_config(backend="threading", n_jobs=-1), threadpool_limits(limits=1):
        yield
