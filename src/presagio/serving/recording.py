"""Answers are kept in the data bucket, as Parquet, for drift and audit; no answer waits for it.

They are written into arrays as they come: to build a table of many small objects would hold the
interpreter's lock, and so all answers, for a tenth of a second at a time.
"""

import itertools
import logging
import os
import tempfile
import threading
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from presagio.errors import PresagioError
from presagio.inference.predictor import Prediction
from presagio.machine.spec import MachineSpec
from presagio.serving.champion import Served
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
# What answers beside themselves name, in the order of a block's numbers.
_NUMBERS = ("score", "probability", "label")


class _Block:
    """Room for rows, filled from the front."""

    def __init__(self, width: int) -> None:
        self.rows = 0
        self.inputs = np.empty((_BLOCK_ROWS, width))
        self.said = np.empty((_BLOCK_ROWS, len(_NUMBERS)))
        self.at = np.empty(_BLOCK_ROWS)
        self.request_id = np.empty(_BLOCK_ROWS, dtype=np.int64)
        self.which = np.empty(_BLOCK_ROWS, dtype=np.int64)
        self.requests: list[str] = []
        self.served: list[Served] = []

    def next_row(self, served: Served) -> int:
        """Return where the next row goes, which this model has answered."""
        if not self.served or self.served[-1] is not served:
            self.served.append(served)
        i = self.rows
        self.which[i], self.at[i] = len(self.served) - 1, time.time()
        self.rows = i + 1
        return i

    def next_rows(self, served: Served, rows: int) -> slice:
        """Return where the next rows go."""
        first = self.next_row(served)
        place = slice(first, first + rows)
        self.which[place], self.at[place] = self.which[first], self.at[first]
        self.rows = first + rows
        return place


def _table(block: _Block, spec: MachineSpec) -> "pl.DataFrame":
    import polars as pl  # noqa: PLC0415 - half a second, for the thread that writes

    n = block.rows
    request_id = pl.Series(block.request_id[:n])
    models = pl.DataFrame(
        {
            "model": [own.model for own in block.served],
            "version": [own.version for own in block.served],
            "degraded": [own.degraded for own in block.served],
        }
    )
    score, probability, label = block.said[:n].T
    numbers = len(spec.feature_names)
    columns = {
        "at": pl.Series((block.at[:n] * 1e6).astype(np.int64)).cast(pl.Datetime("us", "UTC")),
        "request": block.requests,
        "request_id": request_id.set(request_id == _NO_ID, None),
        "score": score,
        "probability": probability,
        "label": label != 0.0,
    }
    for i, name in enumerate(spec.input_names):
        columns[name] = block.inputs[:n, i] if i < numbers else block.inputs[:n, i] != 0.0
    return pl.DataFrame(columns).hstack(models[block.which[:n]])


class Recorder:
    """Takes answers into a bounded queue, and writes them from a thread of its own."""

    def __init__(self, settings: Settings, spec: MachineSpec, metrics: Metrics) -> None:
        self._settings, self._spec, self._metrics = settings, spec, metrics
        self._on, self._width = settings.record_predictions, len(spec.input_names)
        self._block, self._full = _Block(self._width), deque[_Block]()
        self._lock = threading.Lock()
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

    def one(
        self, request: str, request_id: int, inputs: NDArray[np.float64], said: Prediction,
        served: Served,
    ) -> None:  # fmt: skip
        """Keep the answer to one reading, ``inputs`` of shape ``(1, k)``."""
        # As many() does, without slices: this is done for each request.
        if not self._on:
            return
        with self._lock:
            full = self.waiting >= self._settings.record_queue_rows
            if not full:
                block = self._block
                i = block.next_row(served)
                block.inputs[i] = inputs
                block.request_id[i] = request_id
                block.said[i] = said.score[0], said.probability[0], said.label[0]
                block.requests.append(request)
                self._replace_full()
        if full:
            self._metrics.dropped.inc()

    def many(
        self, request: str, inputs: NDArray[np.float64], said: Prediction, served: Served
    ) -> None:
        """Keep the answers to the readings of a file."""
        if not self._on:
            return
        with self._lock:
            room = max(self._settings.record_queue_rows - self.waiting, 0)
            rows, done = min(len(inputs), room), 0
            while done < rows:
                block = self._block
                part = min(rows - done, _BLOCK_ROWS - block.rows)
                place, own = block.next_rows(served, part), slice(done, done + part)
                block.inputs[place] = inputs[own]
                block.request_id[place] = _NO_ID
                for i, name in enumerate(_NUMBERS):
                    block.said[place, i] = getattr(said, name)[own]
                block.requests += [request] * part
                done += part
                self._replace_full()
        if rows < len(inputs):
            self._metrics.dropped.inc(len(inputs) - rows)

    def _replace_full(self) -> None:
        if self._block.rows == _BLOCK_ROWS:
            self._full.append(self._block)
            self._block = _Block(self._width)
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
                self._store = self._store or self._open_store()
                while self._full or ((timely or self._ending) and self._block.rows):
                    self._write(self._store)
                self._held = False
            except PresagioError as err:
                # They wait on, until the next time; when the queue is full, new ones are dropped.
                self._held = True
                _log.warning("%d answers cannot be kept yet: %s", self.waiting, err)
            self._metrics.queue.set(self.waiting)
            if self._ending:
                return

    def _open_store(self) -> "ObjectStore":
        # What takes long to import is imported before there is much to write.
        import polars  # noqa: PLC0415, F401, ICN001

        from presagio.storage.objects import open_store  # noqa: PLC0415

        return open_store(self._settings)

    def _write(self, store: "ObjectStore") -> None:
        """Write one file of what waits; what cannot be written goes on waiting."""
        with self._lock:
            if not self._full:
                self._full.append(self._block)
                self._block = _Block(self._width)
            block = self._full[0]
        name = f"{self._name}-{next(self._numbers):06d}.parquet"
        key = f"{PREFIX}date={datetime.now(UTC):%Y-%m-%d}/{name}"
        # By a file, which is written without the interpreter's lock.
        with tempfile.TemporaryDirectory(prefix="presagio-predictions-") as folder:
            path = Path(folder) / name
            _table(block, self._spec).write_parquet(path)
            store.upload(self._settings.data_bucket, key, path)
        with self._lock:
            self._full.popleft()
        self._metrics.recorded.inc(block.rows)
