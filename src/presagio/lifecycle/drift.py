"""Drift: whether a window of readings is still like the rows that a model was trained on.

Readings that follow each other are alike: an hour of air temperatures is not a thousand
independent values. A test that takes them for such raises an alarm every time the weather changes.
Here tests count how many independent values a window is worth, and the training data themselves
say how much one of their own stretches, as long as the window, differs from all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from presagio.lifecycle.drift_report import ColumnDrift, DriftReport, Verdict
from presagio.lifecycle.effective_size import (
    Floats,
    Units,
    effective_sizes,
    effective_sizes_by_unit,
)
from presagio.machine.inputs import Feature
from presagio.machine.limits import category_values
from presagio.machine.spec import MachineSpec

Codes = NDArray[np.int64]
Table = Mapping[str, Floats]
PROBABILITY = "probability"
_BINS = 10
# The score is looked at where it matters: tenths of it would tell a hopeless reading from a more
# hopeless one, which every change of weather makes of it.
_BANDS = (0.01, 0.1, 0.5)
# So many stretches as long as the window the training data must have, to say what is usual.
_STRETCHES = 8
# How much more than the most unusual of them a window must differ: they are few.
_UNUSUAL = 2.0
# Independent values that a window of units must be worth at least for "no drift" to be said.
_FEWEST_OF_UNITS = 30.0


@dataclass(frozen=True)
class DriftRules:
    """What is drift.

    Attributes
    ----------
    psi
        Population stability index from which on a column has drifted, if that is no chance and
        twice what any stretch of the training data has.
    p_value
        How improbable it has to be by chance that any column differs as much.
    outside
        Share of values beyond all of the training data, by a standard deviation, from which on a
        column has drifted however few independent values there are: the model knows nothing of
        such.
    effective_rows
        Independent values that a window must be worth for "no drift" to be said of a column. With
        20 the test sees a column only where half of its values have moved.
    """

    psi: float = 0.2
    p_value: float = 0.001
    outside: float = 0.2
    effective_rows: float = 20.0


def stability_index(reference: Floats, window: Floats) -> float:
    """Return the population stability index of two distributions, shape ``(bins,)`` each.

    Source: Yurdakul, "Statistical Properties of Population Stability Index", 2018.
    """
    return float(np.sum((window - reference) * np.log(window / reference)))


def _shares(counts: Codes) -> Floats:
    # Half a row more in each bin: an empty one would make the index infinite.
    shares: Floats = (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
    return shares


def _column(
    name: str, test: Literal["KS", "chi-square"], codes: tuple[Codes, Codes], labels: list[str],
    *, p_value: float, outside: float, worth: float, edges: tuple[float, ...] = (),
) -> ColumnDrift:  # fmt: skip
    """Compare how often each bin is met; ``codes`` are the bins of training data and window."""
    before, now = (np.bincount(found, minlength=len(labels)) for found in codes)
    usual, length = _shares(before), len(codes[1])
    stretches = [
        np.bincount(codes[0][start : start + length], minlength=len(labels))
        for start in range(0, len(codes[0]) - length + 1, length)
    ]
    shares = zip(labels, before / before.sum(), now / now.sum(), strict=True)
    return ColumnDrift(
        name, test,
        psi=stability_index(usual, _shares(now)),
        usual_psi=max(
            (stability_index(usual, _shares(counts)) for counts in stretches), default=0.0
        ),
        p_value=p_value, outside=outside, effective_rows=worth,
        shares=tuple((label, float(a), float(b)) for label, a, b in shares), edges=edges,
    )  # fmt: skip


def _tenths(reference: Floats) -> Floats:
    edges: Floats = np.unique(np.quantile(reference, np.linspace(0.0, 1.0, _BINS + 1)[1:-1]))
    return edges


def _sizes(
    reference: Floats, rows: int, window_rows: int, units: Units | None
) -> tuple[float, float]:
    if units is None:
        return effective_sizes(reference, rows, window_rows)
    return effective_sizes_by_unit(reference, rows, units)


def _numeric(
    name: str, reference: Floats, window: Floats, rows: int, edges: Floats, units: Units | None
) -> ColumnDrift:
    codes = tuple(np.searchsorted(edges, found, side="right") for found in (reference, window))
    usual, worth = _sizes(reference, rows, len(window), units)
    distance = stats.ks_2samp(reference, window, method="asymp").statistic
    margin = reference.std()
    beyond = (window < reference.min() - margin) | (window > reference.max() + margin)
    bounds = ["", *(f"{edge:.4g}" for edge in edges), ""]
    return _column(
        name, "KS", (codes[0], codes[1]),
        [f"{low} to {high}".strip() for low, high in pairwise(bounds)],
        p_value=float(stats.kstwobign.sf(distance * np.sqrt(worth * usual / (worth + usual)))),
        outside=float(beyond.mean()), worth=worth, edges=tuple(map(float, edges)),
    )  # fmt: skip


def _categorical(
    name: str, reference: NDArray[np.str_], window: NDArray[np.str_], rows: int,
    units: Units | None,
) -> ColumnDrift:  # fmt: skip
    values, inverse = np.unique(np.concatenate([reference, window]), return_inverse=True)
    codes = inverse[: len(reference)], inverse[len(reference) :]
    before, now = (_shares(np.bincount(found, minlength=len(values))) for found in codes)
    usual, worth = _sizes(codes[0].astype(np.float64), rows, len(window), units)
    table = np.array([before * usual, now * worth])
    return _column(
        name, "chi-square", codes, [str(value) for value in values],
        p_value=float(stats.chi2_contingency(table).pvalue) if len(values) > 1 else 1.0,
        outside=float(np.mean(~np.isin(window, reference))), worth=worth,
    )  # fmt: skip


def _feature(
    feature: Feature, reference: Floats, window: Floats, rows: int, units: Units | None
) -> list[ColumnDrift]:
    """Compare a feature by its values, and by where it is missing, each where there is any."""
    gaps, known = (np.isnan(reference), np.isnan(window)), (_known(reference), _known(window))
    found = []
    if all(len(values) > 1 for values in known):
        share = len(known[0]) / len(reference)
        of_known = None if units is None else units.take(~gaps[0], ~gaps[1])
        edges = _tenths(known[0])
        found.append(_numeric(feature.name, *known, round(rows * share), edges, of_known))
    if gaps[0].any() or gaps[1].any():
        words = [np.where(gap, "missing", "there") for gap in gaps]
        found.append(_categorical(feature.missing_name, words[0], words[1], rows, units))
    return found


def _known(values: Floats) -> Floats:
    known: Floats = values[~np.isnan(values)]
    return known


def verdict_on(column: ColumnDrift, rules: DriftRules, improbable: float) -> Verdict:
    """Return the verdict on a column.

    Parameters
    ----------
    column
        Its metrics.
    rules
        What is drift.
    improbable
        The p-value of one column from which on a difference is no chance.
    """
    unlike = column.psi >= max(rules.psi, _UNUSUAL * column.usual_psi)
    if (unlike and column.p_value < improbable) or column.outside >= rules.outside:
        return "drift"
    # What looks different and may be chance is no more certain than what has few values.
    if unlike or column.effective_rows < rules.effective_rows:
        return "cannot tell"
    return "no drift"


def _titles(spec: MachineSpec) -> dict[str, str]:
    named = {
        f.name: f"{f.title or f.name} [{f.unit}]" if f.unit else f.title or f.name
        for f in spec.features
    }
    named |= {f.missing_name: f"{f.title or f.name} is missing" for f in spec.features}
    named |= {c.name: c.title or c.name for c in spec.categories}
    return named | {PROBABILITY: "Predicted probability of a failure"}


def newest_rows(reference_rows: int, at_most: int) -> int:
    """Say how long a window may be for the training data to say what is usual."""
    return min(at_most, reference_rows // _STRETCHES)


def find_drift(
    spec: MachineSpec, reference: Table, window: Table, *, reference_rows: int, rules: DriftRules,
    units: Units | None = None,
) -> DriftReport:  # fmt: skip
    """Compare a window of readings with what a model was trained on.

    Parameters
    ----------
    spec
        The machine spec.
    reference
        Training data in the order in which they came: the spec's inputs and ``probability`` (of a
        failure, as the model says), each of shape ``(m,)``.
    window
        The same of the readings, each of shape ``(n,)``; of :func:`newest_rows` at most.
    reference_rows
        How many rows the model was trained on, of which ``reference`` may be a part.
    rules
        What is drift. A column has drifted when its index is high and its p-value low (divided by
        the columns: Bonferroni), or when too much of it is beyond all training data. Where there
        are few independent values, or a high index may be chance, it cannot be told.
    units
        Of which unit rows are, where they are of units: values of one unit are alike, and many
        readings of few units are worth little.
    """
    if units is not None:
        fewest = max(rules.effective_rows, _FEWEST_OF_UNITS)
        rules = replace(rules, effective_rows=fewest)
    found = [
        column
        for feature in spec.features
        for column in _feature(
            feature, reference[feature.name], window[feature.name], reference_rows, units
        )
    ]
    found.append(
        _numeric(
            PROBABILITY,
            reference[PROBABILITY],
            window[PROBABILITY],
            reference_rows,
            np.array(_BANDS),
            units,
        )
    )
    found += [
        _categorical(
            category.name, category_values(category, reference), category_values(category, window),
            reference_rows, units,
        )
        for category in spec.categories
    ]  # fmt: skip
    improbable = rules.p_value / len(found)
    titles = _titles(spec)
    columns = tuple(
        replace(column, title=titles[column.name], verdict=verdict_on(column, rules, improbable))
        for column in found
    )
    return DriftReport(reference_rows, len(window[PROBABILITY]), columns)
