"""Answers as rows in memory, and as a table of what is kept.

They are written into one array as they come: to build a table of many small objects would hold the
interpreter's lock, and so all answers, for a tenth of a second at a time.
"""

import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from presagio.inference.predictor import Prediction
from presagio.machine.spec import MachineSpec

if TYPE_CHECKING:
    import polars as pl

# Of one file. A table is made of fewer at a time, see above.
BLOCK_ROWS = 50_000
_AT_A_TIME = 10_000
_NO_ID = np.iinfo(np.int64).min


class Answering(Protocol):
    """What has answered: a model in memory, or what is known of it afterwards."""

    @property
    def model(self) -> str:
        """Name of the registered model."""
        ...

    @property
    def version(self) -> str:
        """Its version."""
        ...

    @property
    def degraded(self) -> bool:
        """Whether it stood in for another."""
        ...


@dataclass(frozen=True)
class AnsweredBy:
    """What is kept of a model that has answered."""

    model: str
    version: str
    degraded: bool

    @classmethod
    def of(cls, served: Answering) -> Self:
        """Return what is kept of a model."""
        return cls(served.model, served.version, served.degraded)


@dataclass(frozen=True)
class Columns:
    """What a machine spec says of the inputs that are kept.

    Attributes
    ----------
    inputs
        Their names, in the model's order.
    numbers
        How many of them, from the first on, are numbers; the others are flags.
    optional
        Names of those that may be missing.
    """

    inputs: tuple[str, ...]
    numbers: int
    optional: tuple[str, ...]

    @classmethod
    def of(cls, spec: MachineSpec) -> Self:
        """Return the columns of a machine spec."""
        return cls(tuple(spec.input_names), len(spec.feature_names), tuple(spec.optional_names))


class RowLayout:
    """How a row lies in a block's memory: alike for struct, which is fastest for one, and NumPy."""

    def __init__(self, columns: Columns) -> None:
        self.columns, inputs = columns, len(columns.inputs)
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
        self.rows, self.layout = 0, layout
        self.array = np.empty(BLOCK_ROWS, layout.dtype)
        self._pack, self._size = layout.row.pack_into, layout.row.size
        self._memory: Any = self.array.view(np.uint8)
        self.requests: list[str] = []
        self.served: list[Answering] = []

    @property
    def date(self) -> str:
        """The day of its first row, which its object is kept under."""
        return f"{datetime.fromtimestamp(self.array['at'][0], UTC):%Y-%m-%d}"

    def _model(self, served: Answering) -> int:
        if not self.served or self.served[-1] is not served:
            self.served.append(served)
        return len(self.served) - 1

    def add(
        self, request: str, request_id: int, inputs: Iterable[float],
        answer: tuple[float, float, bool], served: Answering,
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
        self, request: str, inputs: NDArray[np.float64], prediction: Prediction, served: Answering
    ) -> None:
        """Add rows of shape ``(n, k)``, none of which has an id."""
        rows = self.array[self.rows : self.rows + len(inputs)]
        rows["at"], rows["request_id"], rows["model"] = time.time(), _NO_ID, self._model(served)
        rows["score"], rows["probability"] = prediction.score, prediction.probability
        rows["label"], rows["inputs"] = prediction.label, inputs
        self.requests += [request] * len(inputs)
        self.rows += len(inputs)


def table_of(block: AnswerBlock) -> "pl.DataFrame":
    """Return the rows of a block as a table: a column each for what was asked and answered."""
    import polars as pl  # noqa: PLC0415 - takes a third of a second

    parts = [_part_of(block, begin) for begin in range(0, block.rows, _AT_A_TIME)]
    return parts[0] if len(parts) == 1 else pl.concat(parts)


def _part_of(block: AnswerBlock, begin: int) -> "pl.DataFrame":
    import polars as pl  # noqa: PLC0415 - takes a third of a second

    end, columns = min(begin + _AT_A_TIME, block.rows), block.layout.columns
    rows = block.array[begin:end]
    request_id = pl.Series(np.ascontiguousarray(rows["request_id"]))
    models = pl.DataFrame(
        {
            "model": [served.model for served in block.served],
            "version": [served.version for served in block.served],
            "degraded": [served.degraded for served in block.served],
        }
    )
    made = {
        "at": pl.Series((rows["at"] * 1e6).astype(np.int64)).cast(pl.Datetime("us", "UTC")),
        "request": block.requests[begin:end],
        "request_id": request_id.set(request_id == _NO_ID, None),
        "score": np.ascontiguousarray(rows["score"]),
        "probability": np.ascontiguousarray(rows["probability"]),
        "label": rows["label"] != 0.0,
    }
    for i, name in enumerate(columns.inputs):
        column = np.ascontiguousarray(rows["inputs"][:, i])
        made[name] = column if i < columns.numbers else column != 0.0
    table = pl.DataFrame(made).with_columns(pl.col(columns.optional).fill_nan(None))
    return table.hstack(models[rows["model"]])
