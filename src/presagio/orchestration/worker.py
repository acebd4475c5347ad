"""A Celery worker of Airflow, which leaves a sign of life in a file, and no log behind.

``python -m presagio.orchestration.worker ALIVE LEFT_OVERS ARGUMENT…``: the file, whose time of
change is that of the last heartbeat; a folder of logs that only this worker writes, or an empty
text; and what ``airflow celery worker`` takes. It has the environment that
:mod:`presagio.orchestration.celery_settings` makes.
"""

import logging
import sys
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)


def upload_left_overs(folder: Path) -> int:
    """Upload logs of tasks that ended with the worker which ran them, and remove the files.

    Airflow uploads the log of a task when the task has ended; nobody does when the worker was
    killed. Called before this worker takes tasks, so nobody writes there.

    Parameters
    ----------
    folder
        The folder of logs, which no other worker and no API server uses.

    Returns
    -------
    int
        How many logs were uploaded.
    """
    from airflow.providers.amazon.aws.log.s3_task_handler import (  # noqa: PLC0415 - takes seconds
        S3RemoteLogIO,
    )

    remote, uploaded = S3RemoteLogIO.from_config(), 0
    for file in sorted(folder.rglob("*.log")):
        if file.stat().st_size:
            remote.upload(file.relative_to(folder))
            if file.stat().st_size:
                # It was not taken; the next start tries again.
                continue
            uploaded += 1
        file.unlink()
    return uploaded


def _leave_signs(alive: Path) -> None:
    from celery import signals  # noqa: PLC0415 - takes seconds

    def touch(**_event: Any) -> None:
        alive.touch()

    # Every two seconds, while the broker is there.
    for signal in (signals.heartbeat_sent, signals.worker_ready):
        signal.connect(touch, weak=False)


def main(alive: str, left_overs: str, *arguments: str) -> None:
    """Run the worker until it is stopped."""
    from airflow.__main__ import main as airflow  # noqa: PLC0415 - takes seconds

    _leave_signs(Path(alive))
    if left_overs and (count := upload_left_overs(Path(left_overs))):
        _log.warning("uploaded %d logs of tasks whose worker was killed", count)
    sys.argv[:] = ["airflow", "celery", "worker", *arguments]
    airflow()


if __name__ == "__main__":
    main(*sys.argv[1:])
