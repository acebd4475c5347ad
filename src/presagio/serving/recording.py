"""Answers are kept in the data bucket, as Parquet, for drift and audit; no answer waits for it.

On their way they lie in a journal on this machine's disk, from half a second after they were given,
so that files can be few and large and a process that is killed loses next to nothing: who starts
next stores what it left. Where the disk takes no journal, answers are stored each second.
"""

import itertools
import logging
import os
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from presagio.errors import PresagioError
from presagio.inference.predictor import Prediction
from presagio.machine.spec import MachineSpec
from presagio.serving.answer_block import BLOCK_ROWS, AnswerBlock, Columns, RowLayout, table_of
from presagio.serving.answer_journal import Journal, left_journals
from presagio.serving.champion.holder import Served
from presagio.serving.prometheus import FleetMetrics
from presagio.settings import ANSWERS, Settings

if TYPE_CHECKING:
    from presagio.storage.objects import ObjectStore

_log = logging.getLogger(__name__)

_CLOSE_LIMIT_S = 10.0
# How long answers are gathered for one write; until a store that failed is tried again.
_GATHER_S, _AGAIN_S = 0.5, 30.0


class _Waiting:
    """A block of answers that is not stored yet, and its journal."""

    def __init__(self, layout: RowLayout, name: str, folder: Path) -> None:
        self.block, self.name, self.journal = AnswerBlock(layout), name, Journal(folder, name)


class Recorder:
    """Takes answers into a bounded queue, and writes them from a thread of its own."""

    def __init__(self, settings: Settings, spec: MachineSpec, metrics: FleetMetrics) -> None:
        self._settings, self._spec, self._metrics = settings, spec, metrics
        self._prefix, self._folder = settings.place(ANSWERS), settings.answers_folder
        self._on, self._most = settings.record_predictions, settings.record_queue_rows
        self._layout = RowLayout(Columns.of(spec))
        self._numbers, self._name = itertools.count(), f"{os.getpid()}-{uuid4().hex[:8]}"
        self._current, self._full = self._begin(), deque[_Waiting]()
        self._block, self._full_rows = self._current.block, 0
        self._lock, self._opening = threading.Lock(), threading.Lock()
        self._unsaved, self._wake, self._stopping = (threading.Event() for _ in range(3))
        self._ending, self._held, self._journals = False, False, True
        self._store: ObjectStore | None = None
        # A store that hangs keeps no answer from the journal.
        self._saver, self._thread = (
            threading.Thread(target=run, name=name, daemon=True)
            for run, name in ((self._keep, "keep-predictions"), (self._run, "record-predictions"))
        )
        if self._on:
            self._saver.start()
            self._thread.start()

    def _begin(self) -> _Waiting:
        return _Waiting(self._layout, f"{self._name}-{next(self._numbers):06d}", self._folder)

    @property
    def waiting(self) -> int:
        """How many answers wait."""
        return self._full_rows + self._block.rows

    def prepare(self, served: Served) -> None:
        """Do once what writing a file takes, with a file of one row that is thrown away.

        In a new process this imports Polars and an S3 client, which holds the interpreter's lock,
        and so all answers, for most of a second.
        """
        if not self._on:
            return
        self._opened_store()
        block = AnswerBlock(self._layout)
        inputs = served.predictor.arrange([self._spec.example])
        block.extend("", inputs, served.predictor.predict(inputs), served)
        self._as_file(block, "rehearsal.parquet", lambda _path: None)

    def connect(self) -> None:
        """Ask the store something, so that there is a connection.

        Raises
        ------
        StorageError
            If it does not answer.
        """
        if self._on:
            self._opened_store().head(self._settings.data_bucket, f"{self._prefix}{self._name}")

    def one(
        self, request: str, request_id: int, inputs: Iterable[float],
        answer: tuple[float, float, bool], served: Served,
    ) -> None:  # fmt: skip
        """Keep the answer (score, probability, label) to one reading."""
        if not self._on:
            return
        with self._lock:
            block = self._block
            full = self._full_rows + block.rows >= self._most
            if not full:
                block.add(request, request_id, inputs, answer, served)
                if not self._unsaved.is_set():
                    self._unsaved.set()
                if block.rows == BLOCK_ROWS:
                    self._replace_block()
        if full:
            self._metrics.dropped.inc()

    def many(
        self, request: str, inputs: NDArray[np.float64], prediction: Prediction, served: Served
    ) -> None:
        """Keep the answers to the readings of a file, of shape ``(n, k)``."""
        if not self._on:
            return
        with self._lock:
            rows, done = min(len(inputs), max(self._most - self.waiting, 0)), 0
            while done < rows:
                part = slice(done, done + min(rows - done, BLOCK_ROWS - self._block.rows))
                answers = Prediction(
                    prediction.score[part], prediction.probability[part], prediction.label[part]
                )
                self._block.extend(request, inputs[part], answers, served)
                done = part.stop
                self._unsaved.set()
                if self._block.rows == BLOCK_ROWS:
                    self._replace_block()
        if rows < len(inputs):
            self._metrics.dropped.inc(len(inputs) - rows)

    def _put_aside(self) -> None:
        """Let the current block wait to be stored, and begin another; under the lock."""
        self._full.append(self._current)
        self._full_rows += self._block.rows
        self._current = self._begin()
        self._block = self._current.block

    def _replace_block(self) -> None:
        self._put_aside()
        if not self._held:
            self._wake.set()

    def close(self) -> None:
        """Write what waits, and end; what cannot be stored now stays in the journal."""
        self._ending = True
        for event in (self._stopping, self._unsaved, self._wake):
            event.set()
        if self._thread.is_alive():
            self._thread.join(timeout=_CLOSE_LIMIT_S)

    def _keep(self) -> None:
        """Write to the journals, until the end."""
        ending = False
        while not ending:
            self._unsaved.wait()
            ending = self._stopping.wait(_GATHER_S)
            self._unsaved.clear()
            self._save()
            if not self._journals:
                self._wake.set()

    def _run(self) -> None:
        """Store what waits, until the end."""
        self._attempt(self._store_what_is_left)
        due = time.monotonic() + self._pause_s()
        while True:
            self._wake.wait(max(due - time.monotonic(), 0.0))
            self._wake.clear()
            # Read once: an end that comes during an attempt which fails is owed one of its own.
            ending = self._ending
            timely = ending or time.monotonic() >= due or not (self._journals or self._held)
            if timely or (self._full and not self._held):
                self._attempt(self._store_all if timely else self._store_full)
            if timely:
                due = time.monotonic() + self._pause_s()
            self._metrics.queue.set(self.waiting)
            if ending:
                break
        self._saver.join(timeout=_CLOSE_LIMIT_S)
        for waiting in (*self._full, self._current):
            waiting.journal.release()

    def _pause_s(self) -> float:
        """Return the seconds until all that waits is stored the next time."""
        usual = self._settings.record_seconds
        return min(usual, _AGAIN_S) if self._held else usual

    def _save(self) -> None:
        """Write to the journals what is in none yet."""
        with self._lock:
            parts = [(waiting, waiting.block.rows) for waiting in (*self._full, self._current)]
        try:
            for waiting, rows in parts:
                waiting.journal.append(waiting.block, rows)
            self._journals = True
        except Exception as err:  # noqa: BLE001 - see below
            if self._journals:
                self._journals = False
                self._metrics.recording_failures.inc()
                _log.warning("answers are stored each second, %s takes none: %s", self._folder, err)

    def _attempt(self, store: Callable[[], None]) -> None:
        try:
            store()
            self._held = False
        except Exception as err:  # noqa: BLE001 - a thread that ends would keep nothing any more
            # They wait on, until the next time; when the queue is full, new ones are dropped.
            self._held = True
            self._metrics.recording_failures.inc()
            _log.warning(
                "%d answers cannot be kept yet: %s", self.waiting, err,
                exc_info=not isinstance(err, PresagioError),
            )  # fmt: skip

    def _store_full(self) -> None:
        while self._full:
            self._write(self._opened_store())

    def _store_all(self) -> None:
        while self._full or self._block.rows:
            self._write(self._opened_store())
        self._store_what_is_left()

    def _store_what_is_left(self) -> None:
        """Store the journals of processes that were killed."""
        for name, block in left_journals(self._folder):
            self._upload(self._opened_store(), name, block)
            _log.info("%d answers of a process that was killed are kept now", block.rows)

    def _opened_store(self) -> "ObjectStore":
        with self._opening:
            if self._store is None:
                from presagio.storage.objects import open_store  # noqa: PLC0415 - takes 0.4 s

                self._store = open_store(self._settings)
            return self._store

    def _as_file(self, block: AnswerBlock, name: str, use: Callable[[Path], None]) -> None:
        # By a file, which is written without the interpreter's lock.
        with tempfile.TemporaryDirectory(prefix="presagio-predictions-") as folder:
            path = Path(folder) / name
            table_of(block).write_parquet(path)
            use(path)

    def _upload(self, store: "ObjectStore", name: str, block: AnswerBlock) -> None:
        # The same name and day, whoever stores it and however often.
        file = f"{name}.parquet"
        key = f"{self._prefix}date={block.date}/{file}"
        self._as_file(block, file, lambda path: store.upload(self._settings.data_bucket, key, path))
        self._metrics.recorded.inc(block.rows)

    def _write(self, store: "ObjectStore") -> None:
        """Write one file of what waits; what cannot be written goes on waiting."""
        with self._lock:
            if not self._full:
                self._put_aside()
            waiting = self._full[0]
        # After a kill the journal is stored in the place of this object: it must have all of it.
        with suppress(OSError):
            waiting.journal.append(waiting.block, waiting.block.rows)
        self._upload(store, waiting.name, waiting.block)
        waiting.journal.remove()
        with self._lock:
            self._full.popleft()
            self._full_rows -= waiting.block.rows
