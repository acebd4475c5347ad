"""Answers on their way to the bucket: a process that is killed loses a second's worth at most."""

import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import pytest

from presagio.machine.spec import MachineSpec
from presagio.serving.answer_block import BLOCK_ROWS
from presagio.serving.answer_journal import read_journal
from presagio.serving.champion.served import load_fallback
from presagio.serving.prometheus import ApiMetrics
from presagio.serving.recording import Recorder
from presagio.settings import ANSWERS, Settings
from presagio.storage.objects import ObjectStore, open_store
from tests.conftest import RunningServices, free_ports

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(services: RunningServices, tmp_path: Path) -> Settings:
    bucket = f"data-{uuid4().hex[:8]}"
    own = {"home": tmp_path, "data_bucket": bucket, "record_seconds": 3600.0}
    settings = services.settings.model_copy(update=own)
    open_store(settings).create_bucket(bucket)
    return settings


def _files(settings: Settings) -> dict[str, pl.DataFrame]:
    store, files = open_store(settings), {}
    for found in store.list(settings.data_bucket, ANSWERS):
        read = store.read(settings.data_bucket, found.key)
        assert read is not None
        files[found.key] = pl.read_parquet(io.BytesIO(read[0]))
    return files


def _journals(settings: Settings) -> list[Path]:
    return sorted(settings.answers_folder.glob("*"))


def _until(fine: Callable[[], object], limit_s: float = 20.0) -> None:
    until = time.monotonic() + limit_s
    while not fine():
        assert time.monotonic() < until
        time.sleep(0.05)


def _recorder(settings: Settings, spec: MachineSpec) -> Recorder:
    return Recorder(settings, spec, ApiMetrics().of(spec.name))


def _answer(recorder: Recorder, spec: MachineSpec, number: int) -> None:
    inputs = list(map(float, spec.example.values()))
    recorder.one(f"request {number}", number, inputs, (1.5, 0.75, True), load_fallback(spec))


# Answers without a pause, and prints when it gave which.
_ANSWERS = """
import time
from presagio.machine.spec import load_spec
from presagio.serving.champion.served import load_fallback
from presagio.serving.prometheus import ApiMetrics
from presagio.serving.recording import Recorder
from presagio.settings import load_settings

spec = load_spec()
served, inputs = load_fallback(spec), list(map(float, spec.example.values()))
recorder = Recorder(load_settings(), spec, ApiMetrics().of(spec.name))
for number in range(1_000_000):
    recorder.one(f"request {number}", number, inputs, (1.5, 0.75, True), served)
    print(number, time.time(), flush=True)
    time.sleep(0.002)
"""


def test_a_killed_process_loses_a_second_of_answers_at_most_and_the_next_one_stores_the_rest(
    settings: Settings, spec: MachineSpec
) -> None:
    names = ("home", "data_bucket", "s3_endpoint", "record_seconds")
    given = {f"PRESAGIO_{name.upper()}": str(getattr(settings, name)) for name in names}
    process = subprocess.Popen(
        [sys.executable, "-c", _ANSWERS], env=os.environ | given, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = [process.stdout.readline()]
    began = time.monotonic()
    while time.monotonic() - began < 1.7:
        lines.append(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    killed = time.time()
    lines += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    assert _files(settings) == {}
    (left,) = _journals(settings)
    assert left.stat().st_mode & 0o777 == 0o600

    recorder = _recorder(settings, spec)
    _until(lambda: not _journals(settings))
    recorder.close()
    (key,), (kept,) = _files(settings).keys(), _files(settings).values()
    assert Path(key).stem == left.stem
    given_at = [float(line.split()[1]) for line in lines]
    kept_at_least = sum(at < killed - 1.0 for at in given_at)
    assert 100 < kept_at_least <= kept.height <= len(lines) + 1
    assert kept["request_id"].to_list() == list(range(kept.height))
    assert kept["request"][-1] == f"request {kept.height - 1}"
    assert kept["version"].unique().to_list() == [load_fallback(spec).version]
    assert {name: kept[name][0] for name in spec.input_names} == spec.example


def test_a_living_process_keeps_its_answers_to_itself(
    settings: Settings, spec: MachineSpec
) -> None:
    living = _recorder(settings, spec)
    _answer(living, spec, 1)
    _until(lambda: _journals(settings))
    _recorder(settings, spec).close()
    assert _files(settings) == {}
    # Half an hour of them is one file.
    for number in (2, 3):
        time.sleep(0.6)
        _answer(living, spec, number)
    living.close()
    ((_, kept),) = _files(settings).items()
    assert kept["request_id"].to_list() == [1, 2, 3]
    assert _journals(settings) == []


def test_a_store_that_hangs_keeps_no_answer_from_the_journal(
    settings: Settings, spec: MachineSpec
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hangs = settings.model_copy(
            update={
                "s3_endpoint": f"http://127.0.0.1:{silent.getsockname()[1]}", "s3_timeout_s": 5.0,
                "record_seconds": 0.1,
            }
        )  # fmt: skip
        recorder = _recorder(hangs, spec)
        _answer(recorder, spec, 1)
        # It is being stored by now, for as long as the time limit.
        taken, _ = silent.accept()
        with taken:
            before = len(_journals(settings))
            _answer(recorder, spec, 2)
            _until(lambda: len(_journals(settings)) > before, 3.0)
    recorder.close()
    assert len(_journals(settings)) == 2


def test_what_is_being_stored_is_in_its_journal_as_a_whole(
    settings: Settings, spec: MachineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, upload, folder = list[int](), ObjectStore.upload, settings.answers_folder

    def noting(store: ObjectStore, bucket: str, key: str, path: Path) -> Any:
        rows.extend(read_journal(found).rows for found in folder.glob("*.answers"))
        return upload(store, bucket, key, path)

    monkeypatch.setattr(ObjectStore, "upload", noting)
    recorder, served = _recorder(settings, spec), load_fallback(spec)
    inputs = served.predictor.arrange([spec.example] * BLOCK_ROWS)
    # A full block is stored at once, before the next write to the journals.
    recorder.many("request", inputs, served.predictor.predict(inputs), served)
    _until(lambda: rows)
    recorder.close()
    assert rows == [BLOCK_ROWS]


def test_what_cannot_be_stored_at_the_end_is_stored_by_the_next_start(
    settings: Settings, spec: MachineSpec
) -> None:
    away = settings.model_copy(update={"s3_endpoint": free_ports().url("s3"), "s3_timeout_s": 1})
    stopped = _recorder(away, spec)
    _answer(stopped, spec, 7)
    stopped.close()
    assert len(_journals(settings)) == 1
    _recorder(settings, spec).close()
    ((_, kept),) = _files(settings).items()
    assert kept["request_id"].to_list() == [7]


@pytest.mark.parametrize("cut", [1, 200])
def test_of_a_torn_journal_all_whole_moments_are_stored(
    settings: Settings, spec: MachineSpec, cut: int
) -> None:
    away = settings.model_copy(update={"s3_endpoint": free_ports().url("s3"), "s3_timeout_s": 1})
    stopped = _recorder(away, spec)
    _answer(stopped, spec, 1)
    _until(lambda: _journals(settings) and _journals(settings)[0].stat().st_size > 300)
    _answer(stopped, spec, 2)
    stopped.close()
    (journal,) = _journals(settings)
    os.truncate(journal, journal.stat().st_size - cut)
    _recorder(settings, spec).close()
    ((_, kept),) = _files(settings).items()
    assert kept["request_id"].to_list() == [1]


def test_what_is_no_journal_is_put_aside(settings: Settings, spec: MachineSpec) -> None:
    settings.answers_folder.mkdir(parents=True)
    for name, raw in {"a": b"", "b": b"{}\n", "c": b"\x80\x04no pickle\n"}.items():
        (settings.answers_folder / f"{name}.answers").write_bytes(raw)
    for _ in range(3):
        _recorder(settings, spec).close()
    assert [path.name for path in _journals(settings)] == ["a.damaged", "b.damaged", "c.damaged"]
    assert _files(settings) == {}


def test_where_the_disk_takes_no_journal_answers_are_stored_each_second(
    settings: Settings, spec: MachineSpec
) -> None:
    settings.answers_folder.parent.mkdir(exist_ok=True)
    settings.answers_folder.write_text("in the way of a folder")
    recorder = _recorder(settings, spec)
    _until(lambda: recorder._store is not None or recorder.waiting == 0)
    for number in (1, 2):
        _answer(recorder, spec, number)
        _until(lambda number=number: len(_files(settings)) == number)  # type: ignore[misc]
    recorder.close()
