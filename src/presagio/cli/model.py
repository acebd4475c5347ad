"""Commands on models: train, export-fallback."""

import getpass
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

from presagio.cli.champion import describe_decision, print_decision, promotion_status
from presagio.cli.exit_status import ExitStatus, leave_unless_done
from presagio.cli.output import AsJson, Home, print_json, print_table, progress, say
from presagio.cli.receipts import open_home_intake
from presagio.cli.tables import Column
from presagio.errors import NoChampionError
from presagio.settings import Settings, load_settings

if TYPE_CHECKING:
    from presagio.machine.spec import MachineSpec
    from presagio.registry.versions import RegisteredVersion
    from presagio.registry.writer import Registry
    from presagio.storage.promotions import RecordedDecision
    from presagio.training.datasets.dataset import Dataset
    from presagio.training.evaluation.metrics import Figures
    from presagio.training.train import TrainedModel


class Method(StrEnum):
    """How a model is trained."""

    auto = "auto"
    exact = "exact"
    streamed = "streamed"


class Search(StrEnum):
    """How many parameters are tried."""

    full = "full"
    small = "small"


def _dataset(
    settings: Settings, spec: "MachineSpec", csv: Path | None, *, processed: bool
) -> "Dataset":
    from presagio.training.datasets import curated, dataset  # noqa: PLC0415 - heavy imports

    if csv is not None:
        return dataset.read_labelled_csv(csv, spec)
    if processed:
        return curated.read_curated(open_home_intake(settings.home))
    return dataset.default_dataset(settings, spec)


def train_with_progress(
    dataset: "Dataset", spec: "MachineSpec", *, as_json: bool = False, **how: Any
) -> "TrainedModel":
    """Train with a progress bar, or a line of JSON a fit on standard error.

    ``how`` goes to :func:`presagio.training.train.train_model`.
    """
    from presagio.training.train import train_model  # noqa: PLC0415 - heavy imports

    if as_json:
        return train_model(
            dataset, spec, **how,
            progress=lambda done, total: print_json(
                {"done": done, "total": total}, to_errors=True
            ),
        )  # fmt: skip
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with progress(*columns, TimeElapsedColumn()) as bar:
        task = bar.add_task("Search and evaluate", total=None)
        return train_model(
            dataset, spec, **how,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip


def _champion(registry: "Registry") -> "RegisteredVersion | None":
    try:
        return registry.resolve()
    except NoChampionError:
        return None


_COMPARISON = (
    Column("Model", "words"), Column("Precision", right=True), Column("Recall", right=True),
    Column("F1", right=True), Column("MCC", right=True), Column("Average precision", right=True),
    Column("Cost per 1,000", right=True),
)  # fmt: skip


def _metrics_row(name: str, metrics: "Figures", cost: float | None = None) -> list[str]:
    values = (metrics.precision, metrics.recall, metrics.f1, metrics.mcc, metrics.average_precision)
    return [name, *(f"{value:.3f}" for value in values), "" if cost is None else f"{cost:.1f}"]


def print_metrics(model: "TrainedModel") -> None:
    """Print what was chosen, and its metrics beside those of the baselines."""
    result, evaluated = model.result, model.judgement
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
    print_table(_COMPARISON, [
        _metrics_row("this model", evaluated.test, evaluated.cost),
        _metrics_row("reference model", evaluated.baseline, evaluated.baseline_cost),
        *(_metrics_row(name, metrics) for name, metrics in model.rivals.items()),
    ])  # fmt: skip


def train(
    csv: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Train on this file of labelled readings."),
    ] = None,
    processed: Annotated[
        bool,
        typer.Option(
            "--processed", help="Train on the labelled rows that the intake has processed."
        ),
    ] = False,
    challenger: Annotated[
        bool, typer.Option("--challenger", help="Register only; the gate is not asked.")
    ] = False,
    unless_champion: Annotated[
        bool, typer.Option("--unless-champion", help="Do nothing if there is a champion.")
    ] = False,
    method: Annotated[
        Method,
        typer.Option(
            metavar="METHOD",
            help="exact, streamed for many rows, or auto: streamed for more than 40,000 rows in "
            "the training part.",
        ),
    ] = Method.auto,
    search: Annotated[
        Search | None,
        typer.Option(
            help="How many parameters are tried; PRESAGIO_TRAIN_SEARCH when not given. `small` is "
            "for tests."
        ),
    ] = None,
    rivals: Annotated[
        bool,
        typer.Option("--rivals", help="Evaluate other models as baselines too, for the report."),
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of split and folds.")] = 0,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Search, train, evaluate and register a model; it becomes champion if the gate lets it.

    Without --csv or --processed it takes the data at hand: PRESAGIO_AI4I_CSV, what `presagio data
    fetch` brought, or generated rows.
    """
    from presagio.machine.spec import load_spec  # noqa: PLC0415 - heavy imports
    from presagio.registry.writer import open_registry  # noqa: PLC0415

    if csv is not None and processed:
        raise typer.BadParameter("use either --csv or --processed")
    settings = load_settings(home)
    spec, registry = load_spec(settings.machine_spec), open_registry(settings)
    if unless_champion and (champion := _champion(registry)) is not None:
        if as_json:
            print_json({"champion": vars(champion), "note": f"version {champion.version} kept"})
        else:
            say(f"{champion.name} version {champion.version} is champion already.")
        return
    from presagio.training.export.registration import register_model  # noqa: PLC0415
    from presagio.training.search.grids import GRIDS  # noqa: PLC0415 - heavier still

    dataset = _dataset(settings, spec, csv, processed=processed)
    if not as_json:
        say(
            f"Data: {dataset.source}, {len(dataset.target)} rows, "
            f"{int(dataset.target.sum())} failures"
        )
    model = train_with_progress(
        dataset, spec, as_json=as_json, seed=seed, with_rivals=rivals,
        method=None if method is Method.auto else method.value,
        grid=GRIDS[settings.train_search if search is None else search.value],
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        registered = register_model(model, registry, Path(scratch))
    decision = None if challenger else _ask_the_gate(settings, spec, registered)
    status = ExitStatus.DONE if decision is None else promotion_status(decision)
    if unless_champion and _champion(registry) is not None:
        # Another training was quicker: there is a champion, as was asked for.
        status = ExitStatus.DONE
    if as_json:
        f1 = model.judgement.test.f1
        note = f"trained on {dataset.source}: {len(dataset.target)} rows, F1 {f1:.2f}"
        decided = None if decision is None else describe_decision(decision)
        print_json(
            {"registered": vars(registered), "card": model.card, "decision": decided, "note": note}
        )
    else:
        print_metrics(model)
        say(f"Registered as {registered.name} version {registered.version}, challenger.")
        if decision is not None:
            print_decision(decision)
    leave_unless_done(status)


def _ask_the_gate(
    settings: Settings, spec: "MachineSpec", version: "RegisteredVersion"
) -> "RecordedDecision":
    from presagio.lifecycle.promotion import open_promoter, promote  # noqa: PLC0415 - heavy imports

    why = "presagio train"
    return promote(open_promoter(settings, spec), version, who=getpass.getuser(), why=why)


def export_fallback(
    output: Annotated[Path, typer.Argument(file_okay=False, help="The artifact folder to write.")],
    as_json: AsJson = False,
) -> None:
    """Make the artifact that ships with the package, from generated rows."""
    from presagio.machine.spec import load_spec  # noqa: PLC0415 - heavy imports
    from presagio.training.datasets.dataset import generate_dataset  # noqa: PLC0415
    from presagio.training.export.parity import export_model  # noqa: PLC0415

    spec = load_spec()
    # A folder that cannot be written is found out before minutes of training.
    output.mkdir(parents=True, exist_ok=True)
    model = train_with_progress(generate_dataset(spec), spec, as_json=as_json)
    digest = export_model(model, output)
    if as_json:
        print_json({"path": output, "digest": digest, "card": model.card})
        return
    print_metrics(model)
    say(f"{output}: {digest}")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(train)
    app.command("export-fallback")(export_fallback)
