"""Folders for files that are being worked on; what a killed process has left is removed."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "presagio-spool-"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        # Somebody else's: a process, or a folder that is named after none.
        pass
    return True


def _remove_left_over() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdecimal() and not _is_alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def spool_folder() -> Iterator[Path]:
    """Give a folder, in the system's place for temporary files (``TMPDIR``), that goes afterwards.

    Its name carries the process's id. It holds a file and what comes of it: for a large file some
    twice its size.
    """
    _remove_left_over()
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-") as folder:
        yield Path(folder)
