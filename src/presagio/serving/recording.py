"""Answers are kept in the data bucket, as Parquet, for drift and audit; no answer waits for it."""

import itertools
import logging
import os
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from presagio.errors import PresagioError
from presagio.inference.predictor import Prediction
from presagio.machine.spec import MachineSpec
from presagio.serving.answer_block import BLOCK_ROWS, AnswerBlock, RowLayout, table_of
from presagio.serving.champion.holder import Served
from presagio.serving.prometheus import FleetMetrics
from presagio.settings import ANSWERS, Settings

if TYPE_CHECKING:
    from presagio.storage.objects import ObjectStore

_log = logging.getLogger(__name__)

_CLOSE_LIMIT_S = 10.0


class Recorder:
    """Takes answers into a bounded queue, and writes them from a thread of its own."""

    def __init__(self, settings: Settings, spec: MachineSpec, metrics: FleetMetrics) -> None:
        self._settings, self._spec, self._metrics = settings, spec, metrics
        self._prefix = settings.place(ANSWERS)
        self._on, self._most = settings.record_predictions, settings.record_queue_rows
        self._layout = RowLayout(len(spec.input_names))
        self._block, self._full = AnswerBlock(self._layout), deque[AnswerBlock]()
        self._lock, self._opening = threading.Lock(), threading.Lock()
        self._wake, self._ending, self._held = threading.Event(), False, False
        self._store: ObjectStore | None = None
        self._numbers, self._name = itertools.count(), f"{os.getpid()}-{uuid4().hex[:8]}"
        self._thread = threading.Thread(target=self._run, name="record-predictions", daemon=True)
        if self._on:
            self._thread.start()

    @property
    def waiting(self) -> int:
        """How many answers wait."""
        return len(self._full) * BLOCK_ROWS + self._block.rows

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
            full = len(self._full) * BLOCK_ROWS + block.rows >= self._most
            if not full:
                block.add(request, request_id, inputs, answer, served)
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
                if self._block.rows == BLOCK_ROWS:
                    self._replace_block()
        if rows < len(inputs):
            self._metrics.dropped.inc(len(inputs) - rows)

    def _replace_block(self) -> None:
        self._full.append(self._block)
        self._block = AnswerBlock(self._layout)
        if not self._held:
            self._wake.set()

    def close(self) -> None:
        """Write what waits, and end."""
        self._ending = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=_CLOSE_LIMIT_S)

    def _run(self) -> None:
        while True:
            timely = not self._wake.wait(self._settings.record_seconds)
            self._wake.clear()
            # Read once: an end that comes during an attempt which fails is owed one of its own.
            ending = self._ending
            try:
                while self._full or ((timely or ending) and self._block.rows):
                    self._write(self._opened_store())
                self._held = False
            except Exception as err:  # noqa: BLE001 - a thread that ends would keep nothing any more
                # They wait on, until the next time; when the queue is full, new ones are dropped.
                self._held = True
                self._metrics.recording_failures.inc()
                _log.warning(
                    "%d answers cannot be kept yet: %s", self.waiting, err,
                    exc_info=not isinstance(err, PresagioError),
                )  # fmt: skip
            self._metrics.queue.set(self.waiting)
            if ending:
                return

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
            table_of(block, self._spec).write_parquet(path)
            use(path)

    def _write(self, store: "ObjectStore") -> None:
        """Write one file of what waits; what cannot be written goes on waiting."""
        with self._lock:
            if not self._full:
                self._full.append(self._block)
                self._block = AnswerBlock(self._layout)
            block = self._full[0]
        name = f"{self._name}-{next(self._numbers):06d}.parquet"
        key = f"{self._prefix}date={datetime.now(UTC):%Y-%m-%d}/{name}"
        self._as_file(block, name, lambda path: store.upload(self._settings.data_bucket, key, path))
        with self._lock:
            self._full.popleft()
        self._metrics.recorded.inc(block.rows)
