"""Airflow's triggerer, which ends as soon as its child process has ended.

To stop, Airflow 3.3 tells the child and then waits for what it writes, in one wait of up to 10 s
(``WatchedSubprocess.kill``). Whether the child has ended is asked when a socket of it closes, and a
process closes its sockets a moment before it has ended: asked too soon, the whole wait goes by,
since there is no socket left that could end it. One stop in sixteen took 11 s that way, which is
longer than a container has.
"""

import sys
from typing import Any

from airflow.__main__ import main
from airflow.jobs import triggerer_job_runner

# How long one wait lasts at the most, in seconds, before the child is looked for again.
_LONGEST_WAIT_S = 0.5


class PromptSupervisor(triggerer_job_runner.TriggerRunnerSupervisor):
    """Asks in short turns whether its child has ended, until the time that it was given is over."""

    def _service_subprocess(self, max_wait_time: float, *rest: Any, **named: Any) -> int | None:
        wait = min(max_wait_time, _LONGEST_WAIT_S)
        code: int | None = super()._service_subprocess(wait, *rest, **named)
        return code


if __name__ == "__main__":
    triggerer_job_runner.TriggerRunnerSupervisor = PromptSupervisor  # type: ignore[misc]
    sys.argv[:] = ["airflow", "triggerer", *sys.argv[1:]]
    main()
