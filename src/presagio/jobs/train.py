"""Train: choose the data, train and register a version, and let the gate decide on it."""

import logging
import tempfile
from pathlib import Path
from typing import Any

from presagio.ingest.filing import Intake
from presagio.lifecycle.description import decision_in_words
from presagio.lifecycle.promotion import Promoter, promote
from presagio.machine.spec import MachineSpec
from presagio.registry.versions import RegisteredVersion
from presagio.registry.writer import Registry
from presagio.settings import Settings
from presagio.training.datasets.curated import read_curated
from presagio.training.datasets.dataset import Dataset
from presagio.training.datasets.sources import (
    base_rows,
    default_dataset,
    generate_dataset,
    read_labelled_csv,
    real_data_file,
)
from presagio.training.export.description import describe_training
from presagio.training.export.parity import export_model
from presagio.training.export.registration import register_model
from presagio.training.search.grids import GRIDS, GridName
from presagio.training.train import TrainedModel, train_model

_log = logging.getLogger(__name__)


def choose_dataset(
    settings: Settings, spec: MachineSpec, *, csv: Path | None = None, intake: Intake | None = None,
    events: Path | None = None,
) -> Dataset:  # fmt: skip
    """Read what to train on.

    Parameters
    ----------
    settings
        Where the data at hand are.
    spec
        The machine spec that the rows follow.
    csv
        A file of labelled readings; it goes first.
    intake
        The intake whose curated rows are taken where no file is given. Without either it is the
        data at hand: the file that the settings name, fetched or generated rows.
    events
        A log of failures and repairs beside the file.

    Raises
    ------
    NoDataError
        If there is nothing at hand.
    DataError
        If there is nothing to learn from, or a refused file keeps training from starting.
    StorageError
        If store or ledger fail.
    """
    if csv is not None:
        return read_labelled_csv(csv, spec, events=events)
    if intake is not None:
        return read_curated(intake)
    return default_dataset(settings, spec)


def has_data_at_hand(settings: Settings, spec: MachineSpec) -> bool:
    """Tell whether :func:`choose_dataset` has data without a file and without an intake."""
    return spec.simulation is not None or real_data_file(settings, spec) is not None


def train(
    dataset: Dataset,
    spec: MachineSpec,
    registry: Registry,
    *,
    search: GridName = "full",
    **options: Any,
) -> tuple[TrainedModel, RegisteredVersion]:
    """Train a model and register it as challenger.

    Parameters
    ----------
    dataset
        Labelled readings.
    spec
        The machine spec that they follow.
    registry
        Where the version goes.
    search
        How many parameters are tried.
    options
        Others of :func:`presagio.training.train.train_model`: method, seed, progress.

    Raises
    ------
    DataError
        If there is nothing to learn from.
    RegistryError
        If MLflow fails.
    """
    model = train_model(dataset, spec, grid=GRIDS[search], **options)
    with tempfile.TemporaryDirectory() as folder:
        return model, register_model(model, registry, Path(folder))


def train_fallback(spec: MachineSpec, folder: Path, **options: Any) -> tuple[TrainedModel, str]:
    """Train on generated rows, and write the artifact that ships with the package.

    Parameters
    ----------
    spec
        The machine spec.
    folder
        The artifact folder to write.
    options
        Those of :func:`presagio.training.train.train_model`.

    Returns
    -------
    tuple
        The model, and the digest of its artifact.

    Raises
    ------
    OSError
        If the folder cannot be written; found out before minutes of training.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = train_model(generate_dataset(spec), spec, **options)
    return model, export_model(model, folder)


def retrain(
    settings: Settings, intake: Intake, promoter: Promoter, *, run_id: str | None
) -> dict[str, Any]:
    """Train on the base rows and all labelled rows of the curated data set, and ask the gate.

    Parameters
    ----------
    settings
        Where the base rows are, and how many parameters are tried.
    intake
        Where the curated data set is.
    promoter
        Registry and ledger of decisions.
    run_id
        The DAG run, for the ledger of decisions.

    Returns
    -------
    dict
        ``version``, ``decision`` (``promotion`` or ``refusal``), ``why``, ``rows``, ``f1`` and the
        ``summary`` as Markdown, with which MLflow's description of the version begins.

    Raises
    ------
    DataError
        If there is nothing to learn from, or a refused file keeps training from starting.
    RegistryError, StorageError
        If MLflow, store or ledger fail.
    """
    dataset = read_curated(intake, base_rows(settings, intake.spec))
    _log.info("training on %s: %d rows", dataset.source, len(dataset.target))
    model, version = train(dataset, intake.spec, promoter.registry, search=settings.train_search)
    recorded = promote(promoter, version, who="train_champion", why=run_id or "")
    decision = recorded.decision
    summary = f"{decision_in_words(recorded)}\n\n{describe_training(model.card)}"
    _log.info("%s", summary)
    return {
        "version": version.version,
        "decision": decision.kind,
        "why": decision.why,
        "rows": len(dataset.target),
        "f1": model.evaluation.test.f1,
        "summary": summary,
    }
