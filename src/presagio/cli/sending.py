"""Files on their way to the intake: sent, waited for, and what became of them."""

from collections.abc import Sequence
from pathlib import Path

import typer

from presagio.cli.exit_status import ExitStatus
from presagio.cli.output import print_json, say, warn
from presagio.cli.receipt_view import describe_receipt, in_words, receipt_status
from presagio.ingest.checking import SUFFIXES, suffix_of
from presagio.ingest.filing import Intake
from presagio.ingest.upload import refuse_too_large, upload, wait_for_receipt


def check_suffixes(files: Sequence[Path]) -> None:
    """Refuse files of a kind that the intake does not take, before any is sent."""
    for path in files:
        if suffix_of(path.name) is None:
            raise typer.BadParameter(f"{path}: the intake takes {', '.join(SUFFIXES)}")


def send_files(
    intake: Intake, files: Sequence[Path], *, below: str = "", timeout_s: float | None,
    as_json: bool,
) -> set[ExitStatus]:  # fmt: skip
    """Send files to the incoming prefix, and say what became of each.

    Parameters
    ----------
    intake
        Where to.
    files
        Local files.
    below
        A folder below the prefix, with a slash; empty: the prefix itself.
    timeout_s
        How long to wait for each one's receipt; None: not at all.
    as_json
        Whether to print one object a file.

    Returns
    -------
    set of ExitStatus
        What was met; empty where receipts are not waited for.

    Raises
    ------
    UnreadableFileError
        If one is larger than a file may be; none is sent then.
    """
    met = set[ExitStatus]()
    for path in files:
        refuse_too_large(intake, path)
    sent = [(path, upload(intake, path, name=f"{below}{path.name}")) for path in files]
    for path, uploaded in sent:
        receipt = None
        if timeout_s is not None:
            receipt = wait_for_receipt(intake, uploaded, timeout_s=timeout_s)
            met.add(receipt_status(receipt))
        if as_json:
            body = describe_receipt(receipt) if receipt else None
            print_json({"file": path, "key": uploaded.key, "receipt": body})
        elif receipt is not None:
            say(f"{path}: {in_words(receipt)}")
        elif timeout_s is not None:
            warn(f"{path}: not filed within {timeout_s:.0f} s; see: presagio receipts")
        else:
            say(f"{path}: uploaded as {uploaded.key}")
    return met
