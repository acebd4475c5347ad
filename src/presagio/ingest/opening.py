"""Open the intake as the settings say: store, ledger, spec, and what a file may be."""

import logging
import time
from functools import partial

from presagio.fleet import Fleet
from presagio.ingest.checking import Limits
from presagio.ingest.compression import Caps
from presagio.ingest.filing import Intake, Progress
from presagio.machine.headers import HeaderLimits
from presagio.readings.process.reader_limits import reader_limits
from presagio.settings import Prefixes, Settings
from presagio.storage.database import open_database
from presagio.storage.fleets import other_names
from presagio.storage.ledger import Ledger
from presagio.storage.objects import open_store

_log = logging.getLogger(__name__)
_PROGRESS_EVERY_S = 5.0


class _ProgressLog:
    """Logs how far long files are, once in a while."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        if time.monotonic() - self._last < _PROGRESS_EVERY_S:
            return
        self._last = time.monotonic()
        _log.info(
            "%s: %d of %d MB checked, %d rows",
            progress.key, progress.done_bytes >> 20, progress.total_bytes >> 20, progress.rows,
        )  # fmt: skip


def intake_limits(settings: Settings) -> Limits:
    """Return what a file may be, as the settings say."""
    caps = Caps(settings.intake_max_bytes, settings.intake_max_ratio)
    headers = HeaderLimits(settings.max_columns, settings.max_name_length)
    share = settings.intake_max_bad_share
    reader, sheet = reader_limits(settings), settings.intake_sheet
    largest = settings.intake_max_file_bytes
    return Limits(share, caps, headers, reader, settings.readers, sheet, largest)


def open_intake(fleet: Fleet, prefixes: Prefixes | None = None) -> Intake:
    """Open the store and the ledger of a fleet; neither is asked for anything yet.

    Parameters
    ----------
    fleet
        Its machine spec, and its settings: addresses, secrets and limits.
    prefixes
        Where to read and write, in place of what the settings say.

    Raises
    ------
    SettingsError
        If an address or a secret is not set.
    """
    settings = fleet.settings
    store = open_store(settings)
    # The prefixes of all others lie below those of the default fleet.
    others = partial(other_names, settings, store) if fleet.is_default else frozenset
    return Intake(
        store,
        Ledger(open_database(settings), settings.fleet),
        fleet.spec,
        prefixes or settings.prefixes,
        intake_limits(settings),
        other_fleets=others,
        on_progress=_ProgressLog(),
    )
