"""What the tasks of the DAGs do: settings are read once a task, and handed to a job.

DAG files import this module each time they are parsed, every half a minute and in a new process,
so it imports no job itself: all of them together take 4.3 s of the processor, settings 0.2 s.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from presagio.settings import Prefixes, Settings, load_settings

if TYPE_CHECKING:
    from presagio.fleet import Fleet
    from presagio.ingest.filing import Intake
    from presagio.jobs.score_batches import Batches
    from presagio.lifecycle.promotion import Promoter

_log = logging.getLogger(__name__)
_PARSE_LIMIT_S = 3.0
# Then a task that scores gives its place back, however much waits: files may wait to be filed.
_SCORING_TURN_S = 60.0
Params = dict[str, Any] | None
# ruff: noqa: PLC0415 - see above


def fleets_with_dags() -> list[Settings]:
    """Return the settings of each fleet that has DAGs, the default fleet's first.

    Each time that a DAG file is parsed, the data bucket is asked which fleets were added; their
    specs are read by the tasks. While it does not answer, those of the settings have their DAGs.
    """
    from presagio.errors import StorageError
    from presagio.fleet import load_fleets
    from presagio.storage.fleets import added_specs
    from presagio.storage.objects import open_store

    settings = load_settings()
    # Airflow gives up on a DAG file after 30 s.
    limited = settings.model_copy(update={"s3_timeout_s": _PARSE_LIMIT_S})
    fleets, added = load_fleets(settings), set[str]()
    for fault in fleets.faults:
        _log.error("fleet %s has no DAGs: %s", fault.name, fault.message)
    try:
        added = {*added_specs(settings, open_store(limited))[0]}
    except StorageError as err:
        _log.warning("fleets that were added are not known now: %s", err)
    named = [fleet.settings for fleet in fleets.by_name.values()]
    return named + [settings.of_fleet(name) for name in sorted(added - fleets.by_name.keys())]


def _fleet(name: str) -> "Fleet":
    from presagio.storage.fleets import find_fleet

    return find_fleet(load_settings(), name or None)


@contextmanager
def _opened_intake(fleet: "Fleet", prefixes: Prefixes | None = None) -> "Iterator[Intake]":
    from presagio.ingest.opening import open_intake

    intake = open_intake(fleet, prefixes)
    with closing(intake.ledger):
        yield intake


@contextmanager
def _intake_of(params: Params, fleet: str) -> "Iterator[Intake]":
    """Open the intake with the prefixes that a run of the watcher was given."""
    with _opened_intake(_fleet(fleet), Prefixes(**(params or {}))) as intake:
        yield intake


@contextmanager
def _opened_promoter(fleet: "Fleet") -> "Iterator[Promoter]":
    from presagio.lifecycle.promotion import open_promoter

    promoter = open_promoter(fleet.settings, fleet.spec)
    with closing(promoter.promotions):
        yield promoter


def look_for_files(
    bucket: str, incoming: str, fleet: str | None = None
) -> tuple[Callable[[], bool], float]:
    """Return what tells whether a file waits below a prefix, and how often to ask it, in seconds.

    Raises
    ------
    SettingsError
        If settings cannot be used.
    """
    from presagio.ingest.incoming import is_waiting
    from presagio.storage.fleets import other_names
    from presagio.storage.objects import open_store

    settings = load_settings()
    store, prefixes = open_store(settings), Prefixes(bucket=bucket, incoming=incoming)
    others = frozenset() if fleet else other_names(settings, store)
    largest = settings.intake_max_file_bytes
    return (
        lambda: is_waiting(store, prefixes, others, most_bytes=largest),
        settings.watch_poll_s,
    )


@contextmanager
def watched_arrivals(fleet: str = "") -> Iterator[tuple[Callable[[], bool], float]]:
    """Open what tells whether a file waits to be scored, and how often to ask it, in seconds.

    Without a champion none does; who it is, MLflow is asked less often. While MLflow does not
    answer, files wait.

    Raises
    ------
    SettingsError
        If settings cannot be used.
    """
    from presagio.errors import RegistryError
    from presagio.registry.reader import open_reader
    from presagio.storage.arrivals import Arrivals
    from presagio.storage.database import open_database

    settings = _fleet(fleet).settings
    reader, bucket = open_reader(settings), settings.prefixes.bucket
    asked_at, known = -math.inf, False

    def has_champion() -> bool:
        nonlocal asked_at, known
        if time.monotonic() - asked_at < settings.registry_poll_s:
            return known
        asked_at = time.monotonic()
        try:
            known = reader.find_champion() is not None
        except RegistryError as err:
            _log.warning("files wait to be scored: %s", err)
        return known

    with closing(Arrivals(open_database(settings), settings.fleet)) as arrivals:
        yield (
            lambda: bool(arrivals.waiting(bucket, limit=1)) and has_champion(),
            settings.watch_poll_s,
        )


def score_arrivals(fleet: str = "") -> dict[str, Any]:
    """Score what has been filed: :func:`presagio.jobs.score_arrivals.score_arrivals`.

    Raises
    ------
    DataError
        If a file could not be scored; the message names it. It is tried again later.
    """
    from presagio.errors import DataError
    from presagio.jobs import score_arrivals
    from presagio.registry.reader import open_reader

    found = _fleet(fleet)
    with _opened_intake(found) as intake:
        reader = open_reader(found.settings)
        summary = score_arrivals.score_arrivals(
            found.settings, intake, reader, limit_s=_SCORING_TURN_S
        )
    if summary.faults:
        named = "; ".join(f"receipt {n}: {why}" for n, why in [*summary.faults.items()][:20])
        raise DataError(f"{len(summary.faults)} files cannot be scored now: {named}")
    return score_arrivals.as_json(summary)


def begin_round(params: Params, run_id: str | None, fleet: str = "") -> list[dict[str, object]]:
    """Plan a round of the intake: :func:`presagio.jobs.file.begin_round`."""
    from presagio.jobs import file

    slots = load_settings().intake_slots
    with _intake_of(params, fleet) as intake:
        return file.begin_round(intake, run_id=run_id, slots=slots)


def file_batch(
    batch: dict[str, Any], params: Params, run_id: str | None, fleet: str = ""
) -> dict[str, int]:
    """File a batch of a round: :func:`presagio.jobs.file.file_batch`."""
    from presagio.jobs import file

    with _intake_of(params, fleet) as intake:
        return file.file_batch(intake, batch, run_id=run_id)


def sum_up(params: Params, run_id: str | None, fleet: str = "") -> dict[str, Any]:
    """Sum a round up: :func:`presagio.jobs.file.sum_up`."""
    from presagio.jobs import file

    with _intake_of(params, fleet) as intake:
        return file.sum_up(intake, run_id=run_id or "")


def reconcile(fleet: str = "", *, deep: bool, repair: bool) -> dict[str, int]:
    """Compare ledger and buckets: :func:`presagio.jobs.reconcile.reconcile`."""
    from presagio.jobs import reconcile

    with _opened_intake(_fleet(fleet)) as intake:
        return reconcile.reconcile(intake, deep=deep, repair=repair)


def compact(fleet: str = "") -> dict[str, Any]:
    """Put small files together: :func:`presagio.jobs.compact.compact`."""
    from presagio.jobs import compact

    found = _fleet(fleet)
    with _opened_intake(found) as intake:
        return compact.compact(found.settings, intake)


def retain(fleet: str = "", *, dry_run: bool = False) -> dict[str, Any]:
    """Remove what is old: :func:`presagio.jobs.retention.retain`."""
    from presagio.jobs import retention
    from presagio.registry.reader import open_reader

    found = _fleet(fleet)
    with _opened_intake(found) as intake:
        reader = open_reader(found.settings)
        return retention.retain(found.settings, intake, reader, dry_run=dry_run)


def clean_databases(*, dry_run: bool = False) -> list[str]:
    """Clean Airflow's and MLflow's databases: :mod:`presagio.jobs.database_cleaning`."""
    from presagio.jobs import database_cleaning

    found = database_cleaning.clean_databases(load_settings(), dry_run=dry_run)
    for name, output in found.items():
        _log.info("database of %s:\n%s", name, output)
    return [*found]


def count_new_rows(at_least: int | None = None, fleet: str = "") -> dict[str, int]:
    """Count what is new to train on: :func:`presagio.jobs.new_rows.count_new_rows`."""
    from presagio.jobs import new_rows
    from presagio.storage.database import open_database
    from presagio.storage.promotions import Promotions

    found = _fleet(fleet)
    settings = found.settings
    wanted = settings.train_min_new_rows if at_least is None else at_least
    promotions = Promotions(open_database(settings))
    with _opened_intake(found) as intake, closing(promotions):
        return new_rows.count_new_rows(
            intake, promotions, model_name=settings.model_name, wanted=wanted
        )


def retrain(run_id: str | None, fleet: str = "") -> dict[str, Any]:
    """Train, register and ask the gate: :func:`presagio.jobs.train.retrain`."""
    from presagio.jobs import train

    found = _fleet(fleet)
    with _opened_intake(found) as intake, _opened_promoter(found) as promoter:
        return train.retrain(found.settings, intake, promoter, run_id=run_id)


def announce_champion(fleet: str = "") -> dict[str, Any]:
    """Have the API load the champion: :func:`presagio.jobs.api_client.announce_champion`."""
    from presagio.jobs import api_client

    return api_client.announce_champion(_fleet(fleet).settings)


def sum_up_training(trained: dict[str, Any], served: dict[str, Any]) -> str:
    """Say what came of a training: :func:`presagio.jobs.summaries.training_in_words`."""
    from presagio.jobs.summaries import training_in_words

    summary = training_in_words(trained, served)
    _log.info("%s", summary)
    return summary


def why_nothing_is_trained(counted: dict[str, int]) -> str:
    """Say why nothing is trained yet: :func:`presagio.jobs.summaries.waiting_in_words`."""
    from presagio.jobs.summaries import waiting_in_words

    return waiting_in_words(counted)


def watch_drift(fleet: str = "") -> dict[str, Any]:
    """Look for drift once: :func:`presagio.jobs.monitor.watch_drift`."""
    from presagio.jobs import monitor
    from presagio.registry.writer import open_registry

    found = _fleet(fleet)
    with _opened_intake(found) as intake:
        watched = monitor.watch_drift(found.settings, intake, open_registry(found.settings))
    report = watched.report
    return {
        "summary": watched.summary,
        "drifted": [] if report is None else list(report.drifted),
        "undecided": [] if report is None else list(report.undecided),
        "page": watched.place,
    }


def _batches(params: Params, run_id: str | None, fleet: str) -> "Batches":
    from presagio.jobs.score_batches import Batches
    from presagio.registry.reader import open_reader

    found, wanted = _fleet(fleet), params or {}
    return Batches(
        found, open_reader(found.settings), wanted["source"], wanted["to"], run_id or "",
        wanted.get("version") or None, bool(wanted.get("resume")),
    )  # fmt: skip


def plan_scoring(params: Params, run_id: str | None, fleet: str = "") -> list[dict[str, Any]]:
    """Find files to score: :meth:`presagio.jobs.score_batches.Batches.plan`."""
    return _batches(params, run_id, fleet).plan()


def with_tails(
    batches: list[dict[str, Any]], params: Params, run_id: str | None, fleet: str = ""
) -> list[dict[str, Any]]:
    """Choose batches: :meth:`presagio.jobs.score_batches.Batches.with_tails`."""
    return _batches(params, run_id, fleet).with_tails(batches)


def find_tails(batch: dict[str, Any], params: Params, run_id: str | None, fleet: str = "") -> int:
    """Find what later files need: :meth:`presagio.jobs.score_batches.Batches.find_tails`."""
    return _batches(params, run_id, fleet).find_tails(batch)


def join_tails(
    batches: list[dict[str, Any]], params: Params, run_id: str | None, fleet: str = ""
) -> list[dict[str, Any]]:
    """Put histories together: :meth:`presagio.jobs.score_batches.Batches.join`."""
    return _batches(params, run_id, fleet).join(batches)


def score_batch(
    batch: dict[str, Any], params: Params, run_id: str | None, fleet: str = ""
) -> dict[str, Any]:
    """Score a batch of files: :meth:`presagio.jobs.score_batches.Batches.score`."""
    return _batches(params, run_id, fleet).score(batch)


def sum_up_scoring(
    batches: list[dict[str, Any]], params: Params, run_id: str | None, fleet: str = ""
) -> dict[str, Any]:
    """Sum up: :meth:`presagio.jobs.score_batches.Batches.sum_up`.

    Raises
    ------
    DataError
        If a file could not be scored; the message names it.
    """
    from presagio.errors import DataError
    from presagio.jobs.score import as_json

    summary = _batches(params, run_id, fleet).sum_up(batches)
    if summary.files_failed:
        named = "; ".join(f"{name}: {fault}" for name, fault in [*summary.faults.items()][:20])
        raise DataError(f"{summary.files_failed} of {summary.files} files failed: {named}")
    return as_json(summary)
