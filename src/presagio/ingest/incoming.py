"""Which files wait below the incoming prefix, and in which batches they are filed."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from presagio.ingest.checking import suffix_of
from presagio.ingest.filing import Intake
from presagio.settings import Prefixes
from presagio.storage.objects import ObjectStore, StoredObject

_log = logging.getLogger(__name__)
# One run's worth: more wait for the next run, which begins as soon as this one ends. Airflow maps
# a task over 1,024 batches at most, unless its `core.max_map_length` says otherwise.
_MOST_FILES = 10_000
_MOST_BATCHES = 1_000
_BATCH_FILES = 250
# Below this a second task costs more than it saves.
_SMALL_BATCH = 20
_SMALL_BYTES = 8 << 20
_BATCH_BYTES = 256 << 20
# A file that was begun and not ended may be one that kills the process: it goes alone.
_MOST_ALONE = 20


@dataclass(frozen=True)
class Batch:
    """Keys that one task files, one after the other."""

    keys: tuple[str, ...]
    size_bytes: int

    @property
    def is_small(self) -> bool:
        """Whether filing it takes less time than starting a task for it."""
        return len(self.keys) <= _SMALL_BATCH and self.size_bytes <= _SMALL_BYTES


# Names under which programs write what is not finished, and the locks of spreadsheet programs.
_UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".tmp", "/")
_LOCK = "~$"


def is_file(key: str) -> bool:
    """Tell whether an object is a file to be filed, of whatever kind.

    Hidden files, the locks of spreadsheet programs, uploads under a temporary name and the marks of
    folders are none: they stay where they are, until they get another name.
    """
    name = key.rpartition("/")[2]
    if key.lower().endswith(_UNFINISHED) or name.startswith(_LOCK):
        return False
    return suffix_of(name) is not None or not name.startswith(".")


def incoming_files(
    store: ObjectStore,
    prefixes: Prefixes,
    others: frozenset[str] = frozenset(),
    *,
    most_bytes: int | None = None,
    page_size: int = 1000,
) -> Iterator[StoredObject]:
    """Yield the files that wait to be filed, in the order of their keys.

    Parameters
    ----------
    store, prefixes
        Where they wait.
    others
        Names of fleets whose files wait below this prefix too; they are left out.
    most_bytes
        Larger files are left out: they are not filed.
    page_size
        How many are asked for at a time.
    """
    for stored in store.list(prefixes.bucket, prefixes.incoming, page_size=page_size):
        if most_bytes is not None and stored.size > most_bytes:
            continue
        if is_file(stored.key) and not is_of_others(stored.key, prefixes.incoming, others):
            yield stored


def is_of_others(key: str, prefix: str, others: frozenset[str]) -> bool:
    """Tell whether an object below a prefix is another fleet's: below that fleet's name."""
    name, slash, _ = key.removeprefix(prefix).partition("/")
    return bool(slash) and name in others


def is_waiting(
    store: ObjectStore,
    prefixes: Prefixes,
    others: frozenset[str] = frozenset(),
    *,
    most_bytes: int | None = None,
) -> bool:
    """Tell whether a file waits to be filed, of those that are not too large to be."""
    found = incoming_files(store, prefixes, others, most_bytes=most_bytes)
    return next(found, None) is not None


def _waiting(intake: Intake, most_files: int) -> list[StoredObject]:
    """Return the files to plan for; of those that are too large it is logged that they stay."""
    prefixes, waiting = intake.prefixes, list[StoredObject]()
    for stored in incoming_files(intake.store, prefixes, intake.other_fleets()):
        if (fault := intake.limits.size_fault(stored.key, stored.size)) is not None:
            _log.error("%s", fault)
            continue
        waiting.append(stored)
        if len(waiting) == most_files:
            break
    # Asked for again: a fleet that is there now may have been added, and sent files, since.
    others = intake.other_fleets()
    return [s for s in waiting if not is_of_others(s.key, prefixes.incoming, others)]


def divide(
    files: Sequence[StoredObject], *, slots: int, most_batches: int = _MOST_BATCHES
) -> list[Batch]:
    """Divide files among slots, by their number and their bytes, in the order in which they are.

    Parameters
    ----------
    files
        The files.
    slots
        How many batches can be filed at once.
    most_batches
        How many batches to make at most; the last files are in none then.
    """
    return list(islice(_batches(files, slots), most_batches))


def _batches(files: Sequence[StoredObject], slots: int) -> Iterator[Batch]:
    total = sum(stored.size for stored in files)
    most_keys = min(_BATCH_FILES, max(_SMALL_BATCH, -(-len(files) // slots)))
    most_bytes = min(_BATCH_BYTES, max(_SMALL_BYTES, -(-total // slots)))
    keys, size = list[str](), 0
    for stored in files:
        if keys and (len(keys) >= most_keys or size + stored.size > most_bytes):
            yield Batch(tuple(keys), size)
            keys, size = [], 0
        keys.append(stored.key)
        size += stored.size
    if keys:
        yield Batch(tuple(keys), size)


def plan_batches(intake: Intake, *, slots: int = 1, most_files: int = _MOST_FILES) -> list[Batch]:
    """Divide the files that wait into batches; in linear time, and without reading any.

    Parameters
    ----------
    intake
        Where the files wait, and the ledger that knows which of them were begun before.
    slots
        How many batches can be filed at once: the files are divided among them.
    most_files
        How many files to plan for at most; more wait for the next plan.

    Returns
    -------
    list of Batch
        At most 1,000. Files that a run before this one has begun and not ended come last, each
        alone, so that one which kills its process keeps no other from being filed. Files that are
        larger than the intake's limit are in none.
    """
    begun = {claim.identity.key for claim in intake.ledger.open_claims(intake.prefixes.bucket)}
    waiting = _waiting(intake, most_files)
    fresh = [stored for stored in waiting if stored.key not in begun]
    alone = [stored for stored in waiting if stored.key in begun][:_MOST_ALONE]
    batches = divide(fresh, slots=slots, most_batches=_MOST_BATCHES - len(alone))
    return batches + [Batch((stored.key,), stored.size) for stored in alone]
