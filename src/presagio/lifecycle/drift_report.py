"""What a look for drift has found, column by column and as a whole."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["drift", "no drift", "cannot tell"]


@dataclass(frozen=True)
class ColumnDrift:
    """How one column of the window differs from the training data.

    Attributes
    ----------
    name, title
        The column in the machine spec, and in words with its unit.
    test
        ``KS`` (Kolmogorov-Smirnov) for numbers, ``chi-square`` for categories.
    psi
        Population stability index over tenths of the training data, bands of probability, or
        categories.
    usual_psi
        The highest of any stretch of the training data as long as the window.
    p_value
        Of the test, by effective rows.
    outside
        Share of values beyond all of the training data by a standard deviation, or of categories
        that they have not.
    effective_rows
        How many independent values the window is worth.
    shares
        Share of training data and of window in each bin.
    edges
        Where one bin of numbers ends and the next begins; empty for categories.
    verdict
        ``cannot tell`` where the column has not drifted beyond doubt and there are too few
        independent values to say that it has not.
    """

    name: str
    test: Literal["KS", "chi-square"]
    psi: float
    usual_psi: float
    p_value: float
    outside: float
    effective_rows: float
    shares: tuple[tuple[str, float, float], ...]
    edges: tuple[float, ...] = ()
    title: str = ""
    verdict: Verdict = "no drift"

    @property
    def drifted(self) -> bool:
        """Whether the column has drifted."""
        return self.verdict == "drift"

    @property
    def undecided(self) -> bool:
        """Whether there are too few independent values to tell."""
        return self.verdict == "cannot tell"

    @property
    def in_words(self) -> str:
        """The verdict, with its reason where it is none."""
        if not self.undecided:
            return self.verdict
        return f"cannot tell: {self.effective_rows:.0f} independent readings"


@dataclass(frozen=True)
class DriftReport:
    """What was found in a window.

    Attributes
    ----------
    reference_rows, window_rows
        How many rows the model was trained on, and how many are compared with them.
    columns
        Features, the probability of a failure, and categories.
    """

    reference_rows: int
    window_rows: int
    columns: tuple[ColumnDrift, ...]

    @property
    def drifted(self) -> tuple[str, ...]:
        """Names of the columns that have drifted."""
        return tuple(column.name for column in self.columns if column.drifted)

    @property
    def undecided(self) -> tuple[str, ...]:
        """Names of the columns of which it cannot be told."""
        return tuple(column.name for column in self.columns if column.undecided)

    @property
    def in_words(self) -> str:
        """The verdict on all columns, such as ``no drift; cannot tell for airtemperature_k``."""
        decided = len(self.columns) - len(self.undecided)
        if self.drifted:
            drift = f"drift in {', '.join(self.drifted)}"
        else:
            drift = "no drift" if decided else ""
        doubt = f"cannot tell for {', '.join(self.undecided)}" if self.undecided else ""
        return "; ".join(part for part in (drift, doubt) if part)

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics under names such as ``psi_torque_nm``."""
        found = {
            "rows": float(self.window_rows),
            "drifted_columns": float(len(self.drifted)),
            "undecided_columns": float(len(self.undecided)),
        }
        for column in self.columns:
            for metric in ("psi", "usual_psi", "p_value", "outside", "effective_rows", "undecided"):
                found[f"{metric}_{column.name}"] = float(getattr(column, metric))
        return found
