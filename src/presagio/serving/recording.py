"""Answers are kept in the data bucket, as Parquet, for drift and audit; no answer waits for it.

They are written into one array as they come: to build a table of many small objects would hold the
interpreter's lock, and so all answers, for a tenth of a second at a time.
"""

import itertools
import logging
import os
import struct
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from presagio.errors import PresagioError
from presagio.inference.predictor import Prediction
from presagio.machine.spec import MachineSpec
from presagio.serving.champion.holder import Served
from presagio.serving.metrics import Metrics
from presagio.settings import Settings

if TYPE_CHECKING:
    import polars as pl

    from presagio.storage.objects import ObjectStore

_log = logging.getLogger(__name__)

PREFIX = "predictions/"
_BLOCK_ROWS = 10_000
_CLOSE_LIMIT_S = 10.0
_NO_ID = np.iinfo(np.int64).min


class _Layout:
    """How a row lies in a block's memory: alike for struct, which is fastest for one, and NumPy."""

    def __init__(self, inputs: int) -> None:
        self.row = struct.Struct(f"=dqqddd{inputs}d")
        self.dtype = np.dtype(
            [
                ("at", "=f8"), ("request_id", "=i8"), ("model", "=i8"), ("score", "=f8"),
                ("probability", "=f8"), ("label", "=f8"), ("inputs", "=f8", (inputs,)),
            ]
        )  # fmt: skip


class _Block:
    """Memory for rows, filled from the front."""

    def __init__(self, layout: _Layout) -> None:
        self.rows = 0
        self.array = np.empty(_BLOCK_ROWS, layout.dtype)
        self._pack, self._size = layout.row.pack_into, layout.row.size
        self._memory: Any = self.array.view(np.uint8)
        self.requests: list[str] = []
        self.served: list[Served] = []

    def _model(self, served: Served) -> int:
        if not self.served or self.served[-1] is not served:
            self.served.append(served)
        return len(self.served) - 1

    def add(
        self, request: str, request_id: int, inputs: Iterable[float],
        answer: tuple[float, float, bool], served: Served,
    ) -> None:  # fmt: skip
        """Add one row."""
        i = self.rows
        self._pack(
            self._memory, i * self._size, time.time(), request_id, self._model(served), *answer,
            *inputs,
        )  # fmt: skip
        self.requests.append(request)
        self.rows = i + 1

    def extend(
        self, request: str, inputs: NDArray[np.float64], prediction: Prediction, served: Served
    ) -> None:
        """Add rows, none of which has an id."""
        rows = self.array[self.rows : self.rows + len(inputs)]
        rows["at"], rows["request_id"], rows["model"] = time.time(), _NO_ID, self._model(served)
        rows["score"], rows["probability"] = prediction.score, prediction.probability
        rows["label"], rows["inputs"] = prediction.label, inputs
        self.requests += [request] * len(inputs)
        self.rows += len(inputs)


def _table(block: _Block, spec: MachineSpec) -> "pl.DataFrame":
    import polars as pl  # noqa: PLC0415 - takes a third of a second

    rows = block.array[: block.rows]
    request_id = pl.Series(np.ascontiguousarray(rows["request_id"]))
    models = pl.DataFrame(
        {
            "model": [served.model for served in block.served],
            "version": [served.version for served in block.served],
            "degraded": [served.degraded for served in block.served],
        }
    )
    numbers = len(spec.feature_names)
    columns = {
        "at": pl.Series((rows["at"] * 1e6).astype(np.int64)).cast(pl.Datetime("us", "UTC")),
        "request": block.requests,
        "request_id": request_id.set(request_id == _NO_ID, None),
        "score": np.ascontiguousarray(rows["score"]),
        "probability": np.ascontiguousarray(rows["probability"]),
        "label": rows["label"] != 0.0,
    }
    for i, name in enumerate(spec.input_names):
        column = np.ascontiguousarray(rows["inputs"][:, i])
        columns[name] = column if i < numbers else column != 0.0
    return pl.DataFrame(columns).hstack(models[rows["model"]])


class Recorder:
    """Takes answers into a bounded queue, and writes them from a thread of its own."""

    def __init__(self, settings: Settings, spec: MachineSpec, metrics: Metrics) -> None:
        self._settings, self._spec, self._metrics = settings, spec, metrics
        self._on, self._most = settings.record_predictions, settings.record_queue_rows
        self._layout = _Layout(len(spec.input_names))
        self._block, self._full = _Block(self._layout), deque[_Block]()
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
        return len(self._full) * _BLOCK_ROWS + self._block.rows

    def prepare(self, served: Served) -> None:
        """Do once what writing a file takes, with a file of one row that is thrown away.

        In a new process this imports Polars and an S3 client, which holds the interpreter's lock,
        and so all answers, for most of a second.
        """
        if not self._on:
            return
        self._opened_store()
        block = _Block(self._layout)
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
            self._opened_store().head(self._settings.data_bucket, f"{PREFIX}{self._name}")

    def one(
        self, request: str, request_id: int, inputs: Iterable[float],
        answer: tuple[float, float, bool], served: Served,
    ) -> None:  # fmt: skip
        """Keep the answer (score, probability, label) to one reading."""
        if not self._on:
            return
        with self._lock:
            block = self._block
            full = len(self._full) * _BLOCK_ROWS + block.rows >= self._most
            if not full:
                block.add(request, request_id, inputs, answer, served)
                if block.rows == _BLOCK_ROWS:
                    self._replace_block()
        if full:
            self._metrics.dropped.inc()

    def many(
        self, request: str, inputs: NDArray[np.float64], prediction: Prediction, served: Served
    ) -> None:
        """Keep the answers to the readings of a file."""
        if not self._on:
            return
        with self._lock:
            rows, done = min(len(inputs), max(self._most - self.waiting, 0)), 0
            while done < rows:
                part = slice(done, done + min(rows - done, _BLOCK_ROWS - self._block.rows))
                answers = Prediction(
                    prediction.score[part], prediction.probability[part], prediction.label[part]
                )
                self._block.extend(request, inputs[part], answers, served)
                done = part.stop
                if self._block.rows == _BLOCK_ROWS:
                    self._replace_block()
        if rows < len(inputs):
            self._metrics.dropped.inc(len(inputs) - rows)

    def _replace_block(self) -> None:
        self._full.append(self._block)
        self._block = _Block(self._layout)
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
            try:
                while self._full or ((timely or self._ending) and self._block.rows):
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
            if self._ending:
                return

    def _opened_store(self) -> "ObjectStore":
        with self._opening:
            if self._store is None:
                from presagio.storage.objects import open_store  # noqa: PLC0415 - takes 0.4 s

                self._store = open_store(self._settings)
            return self._store

    def _as_file(self, block: _Block, name: str, use: Callable[[Path], None]) -> None:
        # By a file, which is written without the interpreter's lock.
        with tempfile.TemporaryDirectory(prefix="presagio-predictions-") as folder:
            path = Path(folder) / name
            _table(block, self._spec).write_parquet(path)
            use(path)

    def _write(self, store: "ObjectStore") -> None:
        """Write one file of what waits; what cannot be written goes on waiting."""
        with self._lock:
            if not self._full:
                self._full.append(self._block)
                self._block = _Block(self._layout)
            block = self._full[0]
        name = f"{self._name}-{next(self._numbers):06d}.parquet"
        key = f"{PREFIX}date={datetime.now(UTC):%Y-%m-%d}/{name}"
        self._as_file(block, name, lambda path: store.upload(self._settings.data_bucket, key, path))
        with self._lock:
            self._full.popleft()
        self._metrics.recorded.inc(block.rows)
