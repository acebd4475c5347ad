import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from presagio.ingest.spool import spool_folder


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_goes_afterwards(temporary: Path) -> None:
    with spool_folder() as folder:
        (folder / "x").write_text("x", encoding="utf-8")
        assert folder.parent == temporary
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_has_left_is_removed(temporary: Path) -> None:
    code = (
        "import os, signal, tempfile, sys; tempfile.tempdir = sys.argv[1]\n"
        "from presagio.ingest.spool import spool_folder\n"
        "with spool_folder(): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(temporary)], check=False)
    (left,) = temporary.iterdir()
    with spool_folder() as folder:
        assert list(temporary.iterdir()) == [folder]
    assert not left.exists()


def test_folders_of_the_living_and_of_strangers_stay(temporary: Path) -> None:
    (temporary / f"presagio-spool-{os.getppid()}-abc").mkdir()
    (temporary / "presagio-spool-other").mkdir()
    # No process has such a number; asking for it is an error of its own.
    (temporary / f"presagio-spool-{'9' * 30}-abc").mkdir()
    (temporary / "somebody-else").mkdir()
    with spool_folder():
        pass
    assert len(list(temporary.iterdir())) == 4
