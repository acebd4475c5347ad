"""From arrays of inputs to scores, probabilities and labels."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import ArrayLike, NDArray

from presagio.errors import InvalidArtifactError
from presagio.inference.artifact import GRAPH, ArtifactFiles, Example, read_artifact
from presagio.inference.conditions import read_conditions
from presagio.inference.imputation import Imputation
from presagio.inference.one_row import OneRow
from presagio.inference.one_series import OneSeries
from presagio.inference.remaining_life import RemainingLife, with_interval
from presagio.inference.series import SeriesFeatures
from presagio.inference.signature import check_signature
from presagio.machine.spec import MachineSpec

# Larger calls fall out of the processor's cache: 200,000 rows at once ran 7 times slower a row.
_CHUNK_ROWS = 1024
_TOLERANCE = 1e-3
# Of the units of one file so many values are kept for windows: 240 MB.
_MOST_KEPT = 30_000_000
_FALLBACK = "fallback"
_SHOWN = 500
_CONSTANTS_FOLDER = "session.model_external_initializers_file_folder_path"


@dataclass(frozen=True)
class Prediction:
    """What the model says of ``n`` rows; each array has shape ``(n,)``.

    Attributes
    ----------
    score
        The decision function's value.
    probability
        The calibrated probability of a failure.
    label
        Whether the score reaches the threshold.
    """

    score: NDArray[np.float64]
    probability: NDArray[np.float64]
    label: NDArray[np.bool_]


class Predictor:
    """A runnable artifact. Safe to call from several threads at once."""

    def __init__(self, artifact: ArtifactFiles, session: ort.InferenceSession) -> None:
        self.artifact = artifact
        self._session = session
        self._threshold = artifact.manifest.threshold
        self._names, self._optional = artifact.spec.input_names, {*artifact.spec.optional_names}
        self._pick = itemgetter(*self._names)
        self._completes = len(artifact.spec.model_inputs) > len(self._names)
        self._conditions = read_conditions(artifact.spec, artifact.manifest.conditions)
        self._imputation = Imputation(artifact.spec, artifact.manifest.medians, self._conditions)
        self._series = OneSeries(artifact.spec, self._conditions)
        self._outputs = ["score", "probability"]
        if artifact.manifest.remaining is not None:
            self._outputs.append("remaining")
        # A subclass that runs something else than a graph has no session.
        self._one = (
            None
            if session is None
            else OneRow(session, len(artifact.manifest.inputs), self._outputs)
        )

    def predict_one(self, values: Sequence[float]) -> tuple[float, float, bool]:
        """Return score, probability and label of one row: as :meth:`predict`, in less time.

        Parameters
        ----------
        values
            The spec's inputs in order, as of :meth:`values`; or as of :meth:`last_inputs`.
        """
        return self.foresee_one(values)[0]

    def foresee_one(
        self, values: Sequence[float] | NDArray[np.float64]
    ) -> tuple[tuple[float, float, bool], float | None]:
        """Return what :meth:`predict_one` does, and how long the unit has left, in one run.

        The latter is None of a model without that output; its interval is in
        :func:`.remaining_life.as_answer`.

        Parameters
        ----------
        values
            As of :meth:`predict_one`, shape ``(k,)`` or ``(m,)``.
        """
        if self._completes:
            values = self.complete(np.asarray(values, dtype=np.float64)[None])[0]
        found = None if self._one is None else self._one.run(values)
        if found is None:
            row = np.asarray(values, dtype=np.float64)[None]
            found = tuple(column.item() for column in self._run(self._outputs, row))
        score, probability, *left = found
        return (score, probability, score >= self._threshold), left[0] if left else None

    def last_inputs(self, rows: NDArray[np.float64], times: NDArray[Any]) -> NDArray[np.float64]:
        """Return what the model takes of the last of one unit's readings; see :class:`.OneSeries`.

        Parameters
        ----------
        rows
            Shape ``(n, k)``, in order of time.
        times
            As numbers, shape ``(n,)``.

        Returns
        -------
        ndarray
            Shape ``(m,)``.
        """
        return self._series.last(rows, times)

    def predict(self, inputs: ArrayLike) -> Prediction:
        """Predict rows.

        Parameters
        ----------
        inputs
            Shape ``(n, k)``: the spec's inputs in order, numeric features in their units, then
            indicators as 0 or 1. NaN is a missing value, of those that may be; completed rows,
            as of :meth:`complete`, do as well.

        Returns
        -------
        Prediction
            One entry a row.
        """
        score, probability = self._run(("score", "probability"), inputs)
        return Prediction(score, probability, score >= self._threshold)

    def histories(self) -> SeriesFeatures:
        """Return what makes inputs of readings that hang on those before them, as a new series."""
        return SeriesFeatures(self.artifact.spec, self._conditions, _MOST_KEPT)

    def complete(self, inputs: ArrayLike) -> NDArray[np.float64]:
        """Put medians in the place of missing values, and flags beside the inputs.

        Parameters
        ----------
        inputs
            Shape ``(n, k)``, as for :meth:`predict`.

        Returns
        -------
        ndarray
            Shape ``(n, m)``, the columns of the manifest's inputs; see :class:`.Imputation`.
        """
        return self._imputation.complete(np.ascontiguousarray(inputs, dtype=np.float64))

    def mode_odds(self, inputs: ArrayLike) -> dict[str, NDArray[np.float64]]:
        """Return how likely each detector holds a failure of its mode.

        Parameters
        ----------
        inputs
            Shape ``(n, k)``, as for :meth:`predict`.

        Returns
        -------
        dict
            Name of each detector's failure mode → its log odds, shape ``(n,)``; empty for a model
            whose graph does not have this output.
        """
        modes = self.artifact.manifest.modes
        if not modes:
            return {}
        (odds,) = self._run(("modes",), inputs)
        return dict(zip(modes, odds.T, strict=True))

    def remaining_life(self, inputs: ArrayLike) -> RemainingLife | None:
        """Return how long units have left, with an interval; None of a model without that output.

        Parameters
        ----------
        inputs
            Shape ``(n, k)``, as for :meth:`predict`.
        """
        table = self.artifact.manifest.remaining
        if table is None:
            return None
        (found,) = self._run(("remaining",), inputs)
        return with_interval(table, found)

    def _run(self, outputs: Sequence[str], inputs: ArrayLike) -> list[NDArray[np.float64]]:
        rows = np.ascontiguousarray(inputs, dtype=np.float64)
        if self._completes and len(rows):
            rows = self.complete(rows)
        if not len(rows):
            # Some operators take no empty input.
            widths = {"modes": len(self.artifact.manifest.modes)}
            return [np.empty((0, widths[k]) if k in widths else 0) for k in outputs]
        if len(rows) <= _CHUNK_ROWS:
            return list(self._session.run(outputs, {"inputs": rows}))
        parts = [
            self._session.run(outputs, {"inputs": rows[i : i + _CHUNK_ROWS]})
            for i in range(0, len(rows), _CHUNK_ROWS)
        ]
        return [np.concatenate(found) for found in zip(*parts, strict=True)]

    def values(self, reading: Mapping[str, float | bool | None]) -> list[float]:
        """Return one reading's values, name → value, in the spec's order; NaN for one it lacks."""
        if not self._optional:
            return [float(reading[name]) for name in self._names]  # type: ignore[arg-type]
        optional = self._optional
        found = [reading.get(n) if n in optional else reading[n] for n in self._names]
        return [math.nan if value is None else float(value) for value in found]

    def arrange(self, readings: Sequence[Mapping[str, float | bool | None]]) -> NDArray[np.float64]:
        """Arrange readings, name → value, as the array of shape ``(n, k)`` that is predicted."""
        if self._optional:
            return np.array([self.values(reading) for reading in readings])
        found = np.array([self._pick(reading) for reading in readings], dtype=np.float64)
        return found.reshape(len(readings), -1)

    def check_rows(self, inputs: ArrayLike) -> Prediction:
        """Predict rows of shape ``(n, k)`` that nobody waits for; check the answer to each.

        Raises
        ------
        InvalidArtifactError
            If the model fails, or answers with anything but one finite number a row.
        """
        rows = np.asarray(inputs, dtype=np.float64)
        try:
            got, odds = self.predict(rows), self.mode_odds(rows)
        except Exception as err:
            raise InvalidArtifactError(
                f"{self.artifact.folder}: the model fails on rows: {str(err)[:_SHOWN]}"
            ) from err
        columns = {"score": got.score, "probability": got.probability}
        if (life := self.remaining_life(rows)) is not None:
            columns["remaining"] = life.value
        for name, values in (columns | odds).items():
            if values.shape != (len(rows),) or not np.isfinite(values).all():
                raise InvalidArtifactError(
                    f"{self.artifact.folder}: {name} of {len(rows)} rows has shape {values.shape}, "
                    f"{int(np.isfinite(values).sum())} of them finite"
                )
        if got.probability.min(initial=0.0) < 0 or got.probability.max(initial=1.0) > 1:
            raise InvalidArtifactError(f"{self.artifact.folder}: a probability is not in 0 to 1")
        return got

    def check_examples(self, examples: Sequence[Example]) -> None:
        """Repeat recorded predictions.

        Raises
        ------
        InvalidArtifactError
            If a score or a probability differs by more than 0.001, or a label differs.
        """
        got = self.check_rows([example.inputs for example in examples])
        for i, example in enumerate(examples):
            close = np.allclose(
                (got.score[i], got.probability[i]),
                (example.score, example.probability),
                rtol=0.0,
                atol=_TOLERANCE,
            )
            if not close or got.label[i] != example.label:
                raise InvalidArtifactError(
                    f"{self.artifact.folder}: recorded example {i} gives score {got.score[i]:.4f} "
                    f"and label {got.label[i]}, not {example.score:.4f} and {example.label}"
                )


def open_predictor(folder: Path, *, digest: str | None = None) -> Predictor:
    """Verify an artifact folder and load its graph.

    Raises
    ------
    InvalidArtifactError
        If either fails.
    """
    artifact = read_artifact(folder, digest=digest)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Constants may stand in files beside a graph: without a folder, in any file of this machine.
    options.add_session_config_entry(_CONSTANTS_FOLDER, str(folder))
    try:
        session = ort.InferenceSession(
            (folder / GRAPH).read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as err:
        # ONNX Runtime has fifteen errors without a common base, and lets C++ ones through.
        raise InvalidArtifactError(
            f"{folder}: {GRAPH} cannot be loaded: {str(err)[:_SHOWN]}"
        ) from err
    check_signature(folder, artifact.manifest, session)
    return Predictor(artifact, session)


def load_predictor(folder: Path, *, digest: str | None = None) -> Predictor:
    """Open an artifact folder and repeat its recorded examples.

    Raises
    ------
    InvalidArtifactError
        If either fails.
    """
    predictor = open_predictor(folder, digest=digest)
    examples = predictor.artifact.manifest.examples
    if not examples:
        raise InvalidArtifactError(f"{folder}: the manifest records no examples")
    predictor.check_examples(examples)
    return predictor


def check_inputs(predictor: Predictor, spec: MachineSpec) -> None:
    """Check that a model takes the readings of a machine.

    Raises
    ------
    InvalidArtifactError
        If its inputs are others, or in another order.
    """
    inputs = predictor.artifact.manifest.inputs
    if inputs != spec.model_inputs:
        raise InvalidArtifactError(
            f"the model takes {inputs}, the machine spec {spec.name} has {spec.model_inputs}"
        )


def fallback_folder() -> Path:
    """Return the folder of the artifact that ships with the package."""
    return Path(str(files(__package__) / _FALLBACK))
