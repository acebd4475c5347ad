"""Retraining: whether there is enough to learn from, the training itself, the word to the API."""

import logging
import tempfile
from pathlib import Path
from typing import Any

import httpx

from presagio.errors import SettingsError
from presagio.ingest.curated import labelled_rows, processed_receipts, refuse_blocked
from presagio.jobs.api_client import reload_champion
from presagio.jobs.sweep import open_intake
from presagio.settings import load_settings
from presagio.storage.database import open_database
from presagio.storage.promotions import Promotions

_log = logging.getLogger(__name__)


def count_new_rows(*, at_least: int | None = None) -> dict[str, int]:
    """Count the labelled rows that no judged version has learned from.

    Parameters
    ----------
    at_least
        How many are wanted; the setting when not given.

    Returns
    -------
    dict
        ``new_rows``, ``wanted`` and ``after``, the newest receipt that was learned from. Where
        all new rows together, labelled or not, are fewer than wanted they stand for the count:
        no object has to be read then.

    Raises
    ------
    DataError
        If a file that was refused whole keeps training from starting.
    StorageError
        If store or ledger cannot be reached.
    """
    settings = load_settings()
    wanted = settings.train_min_new_rows if at_least is None else at_least
    promotions, intake = Promotions(open_database(settings)), open_intake(settings)
    try:
        refuse_blocked(intake)
        after = promotions.newest_receipt(settings.model_name)
        rows = sum(r.outcome.rows_processed for r in processed_receipts(intake, after=after))
        if rows >= wanted:
            rows = sum(len(found) for _, found in labelled_rows(intake, after=after))
    finally:
        intake.ledger.close()
        promotions.close()
    return {"new_rows": rows, "wanted": wanted, "after": after}


def _in_words(card: dict[str, Any], version: str, decided: str, why: str) -> str:
    data, test, model = card["data"], card["test"], card["model"]
    cost = card["test_cost_per_1000"]
    detectors = ", ".join(f"{own['label']} by {own['features']}" for own in model["detectors"])
    figures = ", ".join(
        f"{name.replace('_', ' ')} {test[name]:.3f}"
        for name in ("f1", "precision", "recall", "average_precision")
    )
    costs = (
        f"{cost['model']:.2f}, described {cost['baseline']:.2f}, "
        f"never to warn {cost['never_to_warn']:.2f}"
    )
    lines = (
        f"**Version {version}: {decided}.** {why}\n",
        f"- Data: {data['source']}: {data['rows']} rows, {data['failures']} failures",
        f"- Model: {model['shape']}, {model['method']}, {detectors}",
        f"- Search: {card['search']['grid']} grid, {card['search']['candidates']} candidates",
        f"- On {data['test_rows']} rows that no choice has seen: {figures}",
        f"- Cost of 1,000 readings: {costs}",
    )
    return "\n".join(lines)


def retrain(*, run_id: str | None) -> dict[str, Any]:
    """Train on the base rows and all labelled rows of the curated data set, and ask the gate.

    Parameters
    ----------
    run_id
        The DAG run, for the ledger of promotions.

    Returns
    -------
    dict
        ``version``, ``decision`` (``promotion`` or ``refusal``), ``why``, ``rows``, ``f1`` and the
        ``summary`` as Markdown, which MLflow shows beside the version too.

    Raises
    ------
    DataError
        If there is nothing to learn from, or a refused file keeps training from starting.
    RegistryError, StorageError
        If MLflow, store or ledger fail.
    """
    from presagio.lifecycle.promotion import open_promoter, promote  # noqa: PLC0415
    from presagio.training.datasets.curated import read_curated  # noqa: PLC0415 - takes seconds
    from presagio.training.datasets.dataset import base_rows  # noqa: PLC0415
    from presagio.training.export.registration import register_model  # noqa: PLC0415
    from presagio.training.search.grids import GRIDS  # noqa: PLC0415
    from presagio.training.train import train_model  # noqa: PLC0415

    settings = load_settings()
    intake = open_intake(settings)
    promoter = open_promoter(settings, intake.spec)
    try:
        dataset = read_curated(intake, base_rows(settings, intake.spec))
        _log.info("training on %s: %d rows", dataset.source, len(dataset.target))
        model = train_model(dataset, intake.spec, grid=GRIDS[settings.train_search])
        with tempfile.TemporaryDirectory() as scratch:
            version = register_model(model, promoter.registry, Path(scratch))
        decided = promote(promoter, version, who="train_champion", why=run_id or "").decision
        summary = _in_words(model.card, version.version, decided.kind, decided.why)
        promoter.registry.describe(version, summary)
    finally:
        intake.ledger.close()
        promoter.promotions.close()
    _log.info("%s", summary)
    return {
        "version": version.version,
        "decision": decided.kind,
        "why": decided.why,
        "rows": len(dataset.target),
        "f1": model.judgement.test.f1,
        "summary": summary,
    }


def tell_api() -> dict[str, Any]:
    """Tell the API to look at the champion's alias now; it also does so by itself.

    Returns
    -------
    dict
        What the API serves then: ``model``, ``version``, ``degraded``; or why it is not known.
    """
    settings = load_settings()
    try:
        ready = reload_champion(settings)
    except (httpx.HTTPError, SettingsError) as err:
        _log.warning("the API was not reached, it follows the champion by itself: %s", err)
        return {"unreachable": str(err)}
    _log.info("the API serves %s version %s", ready["model"], ready["version"])
    return {name: ready[name] for name in ("model", "version", "degraded")}
