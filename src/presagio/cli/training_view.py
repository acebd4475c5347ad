"""How a training is shown: its progress, and its metrics beside those of the baselines."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

from presagio.cli.output import print_json, print_table, progress, say
from presagio.cli.tables import Column

if TYPE_CHECKING:
    from presagio.training.evaluation.metrics import Metrics
    from presagio.training.train import TrainedModel

_COMPARISON = (
    Column("Model", "words"), Column("Precision", right=True), Column("Recall", right=True),
    Column("F1", right=True), Column("MCC", right=True), Column("Average precision", right=True),
    Column("Cost per 1,000", right=True),
)  # fmt: skip


@contextmanager
def training_progress(*, as_json: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Show how far a training is: a bar, or a line of JSON a fit on standard error.

    Yields
    ------
    Callable
        What a training calls with the steps that are done and with all of them.
    """
    if as_json:
        yield lambda done, total: print_json({"done": done, "total": total}, to_errors=True)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with progress(*columns, TimeElapsedColumn()) as bar:
        task = bar.add_task("Search and evaluate", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _metrics_row(name: str, metrics: "Metrics", cost: float | None = None) -> list[str]:
    values = (metrics.precision, metrics.recall, metrics.f1, metrics.mcc, metrics.average_precision)
    return [name, *(f"{value:.3f}" for value in values), "" if cost is None else f"{cost:.1f}"]


def _rounded(value: float | None) -> str:
    return "none" if value is None else f"{value:.1f}"


def print_metrics(model: "TrainedModel") -> None:
    """Print what was chosen, and its metrics beside those of the baselines."""
    result, evaluated = model.result, model.evaluation
    for warning in model.card["warnings"]:
        say(f"Warning: {warning}", style="yellow")
    for plan in result.alarm.plans:
        parameters = ", ".join(f"{name} {value}" for name, value in plan.parameters.items())
        say(f"Detector {plan.label}: {plan.features.name} features, {parameters}")
    cross = evaluated.cross_validation.get("f1")
    validated = (
        f"F1 {cross.mean:.3f} ({cross.low:.3f} to {cross.high:.3f}) in repeated cross-validation"
        if cross
        else f"streamed: {len(model.split.train):,} training rows are too many for an exact SVM"
    )
    say(f"Best of {len(result.candidates)} candidates; {validated}.")
    say(
        f"Held-out test set: {len(model.split.test):,} rows, "
        f"{int(model.split.test.target.sum())} failures."
    )
    if (events := evaluated.events) is not None:
        horizon = model.card["horizon"]
        say(
            f"Failures foreseen within {horizon['within']}: {events.caught} of {events.failures} "
            f"caught, {events.missed} missed, {events.too_early} alarmed too early; lead time "
            f"{_rounded(events.lead_p50)} {horizon['unit']} (p10 {_rounded(events.lead_p10)}, "
            f"p90 {_rounded(events.lead_p90)})."
        )
    if life := model.card["remaining_life"]:
        say(
            f"Remaining life: RMSE {_rounded(life['rmse'])}, its interval holds "
            f"{life['coverage']:.0%} where {life['coverage_wanted']:.0%} is wanted."
        )
    print_table(_COMPARISON, [
        _metrics_row("this model", evaluated.test, evaluated.cost),
        _metrics_row("reference model", evaluated.reference, evaluated.reference_cost),
        *(_metrics_row(name, metrics) for name, metrics in model.baselines.items()),
    ])  # fmt: skip
