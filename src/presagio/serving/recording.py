"""Answers are kept in the data bucket, as Parquet, for drift and audit; no answer waits for it."""

import io
import itertools
import logging
import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
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
_FILE_ROWS = 50_000


@dataclass(frozen=True)
class _Answers:
    """The answers to one request."""

    at: float
    request: str
    request_id: int | None
    inputs: NDArray[np.float64]
    said: Prediction
    served: Served


class Recorder:
    """Takes answers into a bounded queue, and writes them from a thread of its own."""

    def __init__(self, settings: Settings, spec: MachineSpec, metrics: Metrics) -> None:
        self._settings, self._spec, self._metrics = settings, spec, metrics
        self._waiting: deque[tuple[int, _Answers]] = deque()
        self._rows = 0
        self._lock = threading.Lock()
        self._wake, self._ending = threading.Event(), False
        self._store: ObjectStore | None = None
        self._numbers, self._name = itertools.count(), f"{os.getpid()}-{uuid4().hex[:8]}"
        self._thread = threading.Thread(target=self._run, name="record-predictions", daemon=True)
        if settings.record_predictions:
            self._thread.start()

    def one(
        self, request: str, request_id: int, inputs: NDArray[np.float64], said: Prediction,
        served: Served,
    ) -> None:  # fmt: skip
        """Keep the answer to one reading, ``inputs`` of shape ``(1, k)``."""
        self._put(1, _Answers(time.time(), request, request_id, inputs, said, served))

    def many(
        self, request: str, inputs: NDArray[np.float64], said: Prediction, served: Served
    ) -> None:
        """Keep the answers to the readings of a file."""
        self._put(len(inputs), _Answers(time.time(), request, None, inputs, said, served))

    def _put(self, rows: int, entry: _Answers) -> None:
        if not self._settings.record_predictions:
            return
        with self._lock:
            full = self._rows + rows > self._settings.record_queue_rows
            if not full:
                self._rows += rows
                self._waiting.append((rows, entry))
        if full:
            self._metrics.dropped.inc(rows)
        elif self._rows >= _FILE_ROWS:
            self._wake.set()

    @property
    def waiting(self) -> int:
        """How many answers wait."""
        return self._rows

    def close(self) -> None:
        """Write what waits, and end."""
        self._ending = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10.0)

    def _run(self) -> None:
        while True:
            self._wake.wait(self._settings.record_seconds)
            self._wake.clear()
            try:
                while self._waiting and self._write():
                    pass
            except PresagioError as err:
                # They wait on; when the queue is full, new ones are dropped and counted.
                _log.warning("%d answers cannot be kept yet: %s", self._rows, err)
            if self._ending:
                return

    def _open_store(self) -> "ObjectStore":
        from presagio.storage.objects import open_store  # noqa: PLC0415 - a third of a second

        return open_store(self._settings)

    def _write(self) -> bool:
        """Write one file of what waits; what cannot be written goes on waiting."""
        taken: list[tuple[int, _Answers]] = []
        rows = 0
        while self._waiting and rows < _FILE_ROWS:
            taken.append(self._waiting.popleft())
            rows += taken[-1][0]
        try:
            body = _parquet(_table([entry for _, entry in taken], self._spec))
            key = (
                f"{PREFIX}date={datetime.now(UTC):%Y-%m-%d}/{self._name}-{next(self._numbers):06d}"
            )
            self._store = self._store or self._open_store()
            self._store.write(self._settings.data_bucket, f"{key}.parquet", body)
        except PresagioError:
            self._waiting.extendleft(reversed(taken))
            raise
        with self._lock:
            self._rows -= rows
        self._metrics.recorded.inc(rows)
        return rows >= _FILE_ROWS


def _table(answers: list[_Answers], spec: MachineSpec) -> "pl.DataFrame":
    """Put answers side by side: first what is the same for all rows of each, then the rows."""
    # Half a second to import, for the thread that writes.
    import polars as pl  # noqa: PLC0415

    same = pl.DataFrame(
        {
            "at": pl.Series([datetime.fromtimestamp(a.at, UTC) for a in answers]),
            "request": [a.request for a in answers],
            "request_id": pl.Series([a.request_id for a in answers], dtype=pl.Int64),
            "model": [a.served.model for a in answers],
            "version": [a.served.version for a in answers],
            "degraded": [a.served.degraded for a in answers],
        }
    )
    inputs = np.concatenate([a.inputs for a in answers])
    numbers = len(spec.feature_names)
    own = {
        name: np.concatenate([getattr(a.said, name) for a in answers])
        for name in ("score", "probability", "label")
    }
    read = {
        name: inputs[:, i] if i < numbers else inputs[:, i] != 0.0
        for i, name in enumerate(spec.input_names)
    }
    which = np.repeat(np.arange(len(answers)), [len(a.inputs) for a in answers])
    return same[which].hstack(pl.DataFrame(own | read))


def _parquet(frame: "pl.DataFrame") -> bytes:
    body = io.BytesIO()
    frame.write_parquet(body)
    return body.getvalue()
