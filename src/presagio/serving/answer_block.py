"""Answers as rows in memory, and as a table of what is kept.

They are written into one array as they come: to build a table of many small objects would hold the
interpreter's lock, and so all answers, for a tenth of a second at a time.
"""

import struct
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from presagio.inference.predictor import Prediction
from presagio.machine.spec import MachineSpec
from presagio.serving.champion.holder import Served

if TYPE_CHECKING:
    import polars as pl

BLOCK_ROWS = 10_000
_NO_ID = np.iinfo(np.int64).min


class RowLayout:
    """How a row lies in a block's memory: alike for struct, which is fastest for one, and NumPy."""

    def __init__(self, inputs: int) -> None:
        self.row = struct.Struct(f"=dqqddd{inputs}d")
        self.dtype = np.dtype(
            [
                ("at", "=f8"), ("request_id", "=i8"), ("model", "=i8"), ("score", "=f8"),
                ("probability", "=f8"), ("label", "=f8"), ("inputs", "=f8", (inputs,)),
            ]
        )  # fmt: skip


class AnswerBlock:
    """Memory for rows, filled from the front."""

    def __init__(self, layout: RowLayout) -> None:
        self.rows = 0
        self.array = np.empty(BLOCK_ROWS, layout.dtype)
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
        """Add rows of shape ``(n, k)``, none of which has an id."""
        rows = self.array[self.rows : self.rows + len(inputs)]
        rows["at"], rows["request_id"], rows["model"] = time.time(), _NO_ID, self._model(served)
        rows["score"], rows["probability"] = prediction.score, prediction.probability
        rows["label"], rows["inputs"] = prediction.label, inputs
        self.requests += [request] * len(inputs)
        self.rows += len(inputs)


def table_of(block: AnswerBlock, spec: MachineSpec) -> "pl.DataFrame":
    """Return the rows of a block as a table: a column each for what was asked and answered."""
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
    table = pl.DataFrame(columns).with_columns(pl.col(spec.optional_names).fill_nan(None))
    return table.hstack(models[rows["model"]])
