"""Folders for files that are being worked on; what a killed process has left is removed.

Who works in a folder holds a lock on a file in it, which the kernel drops with the process: that
holds across containers that share ``TMPDIR``, where the same process id means different processes.
"""

import errno
import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "presagio-spool-"
_LOCKED = f"{_PREFIX}locked-"
_LOCK = ".lock"
# Before, the process's id stood in the name and nothing was locked. In another container it says
# nothing, so such a folder also has to be older than any file took to be filed.
_FORMER = re.compile(rf"{_PREFIX}(\d+)-[^-]+")
_FORMER_AGE_S = 24 * 3600.0
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


def _lock(folder: Path) -> int | None:
    """Take a folder's lock, and return its descriptor; None where somebody has it.

    Raises
    ------
    OSError
        If the folder is gone, is another user's, or lies where nothing can be locked.
    """
    path = folder / _LOCK
    # Not inherited by programs that are started; a forked child keeps the lock while it lives.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A clean-up may have removed the file, and the folder, since it was opened.
        if os.path.samestat(os.fstat(descriptor), os.lstat(path)):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        # Somebody else's: a process, or a folder that is named after none.
        pass
    return True


def _may_be_in_use(folder: Path) -> bool:
    """Tell whether a folder may be one that a former version works in, which locks none."""
    former = _FORMER.fullmatch(folder.name)
    if former is None:
        return not folder.name.startswith(_LOCKED)
    if _is_alive(int(former[1])):
        return True
    times = [path.lstat().st_mtime for path in (folder, *folder.iterdir())]
    return max(times) > time.time() - _FORMER_AGE_S


def _remove_left_over() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        # Gone meanwhile, another user's, or nothing can be locked here: then it stays.
        with suppress(OSError):
            if folder.is_symlink() or _may_be_in_use(folder):
                continue
            if (descriptor := _lock(folder)) is not None:
                try:
                    shutil.rmtree(folder, ignore_errors=True)
                finally:
                    os.close(descriptor)


def _locked_folder() -> tuple[Path, int | None]:
    """Make a folder and lock it, before or after a clean-up which takes it for a left-over."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_LOCKED))
        try:
            descriptor = _lock(folder)
        except FileNotFoundError:
            continue
        except OSError as err:
            if err.errno not in _NO_LOCKS:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            # Where nothing can be locked nobody's folders are removed, and a killed process's stay.
            return folder, None
        if descriptor is not None:
            return folder, descriptor


@contextmanager
def spool_folder() -> Iterator[Path]:
    """Give a folder, in the system's place for temporary files (``TMPDIR``), that goes afterwards.

    It is locked while it is used. It holds a file and what comes of it: for a large file some
    twice its size.

    Raises
    ------
    OSError
        If no folder can be made.
    """
    _remove_left_over()
    folder, descriptor = _locked_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)
