"""What became of a round of the intake, or of a training, in words: for logs and Airflow."""

from collections.abc import Mapping, Sequence
from typing import Any


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def round_in_words(total: Mapping[str, int], refused: Sequence[tuple[str, str]] = ()) -> str:
    """Say what a round has filed.

    Parameters
    ----------
    total
        Its counts, as :class:`presagio.jobs.file.Filed` names them.
    refused
        Keys of the first files that were refused whole, each with the reason.
    """
    if not total["files"]:
        return "No file was filed."
    taken = f"{_counted(total['rows_processed'], 'row')} taken"
    aside = f"{total['rows_quarantined']:,} set aside"
    parts = [f"{_counted(total['files'], 'file')} filed: {taken}, {aside}"]
    if count := total["files_quarantined"]:
        named = ", ".join(f"{key} ({reason})" for key, reason in refused)
        more = f" and {count - len(refused):,} more" if count > len(refused) else ""
        parts.append(f"{_counted(count, 'file')} refused whole: {named}{more}")
    if count := total["files_duplicate"]:
        parts.append(f"{_counted(count, 'file')} filed before")
    return "; ".join(parts) + "."


def waiting_in_words(counted: Mapping[str, int]) -> str:
    """Say why nothing is trained yet."""
    new = _counted(counted["new_rows"], "labelled row")
    return f"Nothing was trained: {new} new, {counted['wanted']:,} wanted."


def training_in_words(trained: Mapping[str, Any], served: Mapping[str, Any]) -> str:
    """Say what was trained, what the gate decided, and what the API serves since.

    Parameters
    ----------
    trained
        What :func:`presagio.jobs.train.retrain` returns.
    served
        What :func:`presagio.jobs.api_client.announce_champion` returns.
    """
    if "unreachable" in served:
        api = "The API was not reached; it follows the champion by itself."
    else:
        fallback = ", its fallback" if served["degraded"] else ""
        api = f"The API serves {served['model']} version {served['version']}{fallback}."
    return f"{trained['summary']}\n\n{api}"
