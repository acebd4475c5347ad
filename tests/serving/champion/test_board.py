"""What lies in the workers' folder is input: odd files are no workers, and stop nobody."""

import json
import os
import shutil
from pathlib import Path

import pytest

from presagio.serving.champion.board import Board
from presagio.serving.champion.worker_metrics import WorkerCollector
from presagio.serving.prometheus import ApiMetrics


@pytest.fixture
def board(tmp_path: Path) -> Board:
    board = Board(tmp_path)
    board.post(model="m", version="1", degraded=False)
    return board


# A process that lives, whoever owns it.
INIT = "1.json"
GOOD = {"pid": 1, "model": "m", "version": "2", "degraded": False}


CHANGES: list[dict[str, object]] = [
    {"version": 2}, {"degraded": "perhaps"}, {"since": float("nan")}, {"looked": -1},
    {"started": "soon"}, {"pid": [1]}, {"more": 1}, {"reason": {}},
]  # fmt: skip
BYTES = [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b" " * (1 << 20)]


@pytest.mark.parametrize(
    "content", [*BYTES, *(json.dumps(GOOD | change).encode() for change in CHANGES)]
)
def test_an_odd_file_is_no_worker(board: Board, tmp_path: Path, content: bytes) -> None:
    (tmp_path / INIT).write_bytes(content)
    assert [worker.version for worker in board.workers()] == ["1"]
    assert (
        b'presagio_model_served{fleet="pumps",model="m",version="1"} 1.0'
        in ApiMetrics().exposition(WorkerCollector(lambda: {"pumps": board}))
    )
    board.post(version="3")
    assert [worker.version for worker in board.workers()] == ["3"]


@pytest.mark.parametrize("name", ["0.json", "007.json", "9" * 30 + ".json", "1x.json", "1.json.b"])
def test_an_odd_name_is_no_worker(board: Board, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(json.dumps(GOOD), encoding="utf-8")
    assert [worker.version for worker in board.workers()] == ["1"]


def test_a_folder_in_the_place_of_a_file_is_no_worker(board: Board, tmp_path: Path) -> None:
    (tmp_path / INIT).mkdir()
    (tmp_path / "999999998.json").mkdir()
    (tmp_path / "wake").mkdir()
    assert [worker.version for worker in board.workers()] == ["1"]
    board.wake()
    assert board.woken() > (0,)


def test_a_worker_is_who_its_file_is_named_after(board: Board, tmp_path: Path) -> None:
    (tmp_path / INIT).write_text(json.dumps(GOOD | {"pid": 77}), encoding="utf-8")
    assert {worker.pid for worker in board.workers()} == {1, os.getpid()}


def test_a_folder_that_is_gone_stops_nobody(board: Board, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path)
    board.post(version="2")
    board.wake()
    assert board.workers() == []
    assert board.woken() == (0,)
    board.leave()
    tmp_path.mkdir()
