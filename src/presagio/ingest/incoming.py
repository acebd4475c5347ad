"""Which files wait below the incoming prefix, and in which batches they are filed."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from presagio.ingest.checking import suffix_of
from presagio.ingest.filing import Intake
from presagio.settings import Prefixes
from presagio.storage.objects import ObjectStore, StoredObject

# One run's worth: more wait for the next run, which begins as soon as this one ends.
_MOST_FILES = 10_000
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
    page_size: int = 1000,
) -> Iterator[StoredObject]:
    """Yield the files that wait to be filed, in the order of their keys.

    Parameters
    ----------
    store, prefixes
        Where they wait.
    others
        Names of fleets whose files wait below this prefix too; they are left out.
    page_size
        How many are asked for at a time.
    """
    for stored in store.list(prefixes.bucket, prefixes.incoming, page_size=page_size):
        if is_file(stored.key) and not is_of_others(stored.key, prefixes.incoming, others):
            yield stored


def is_of_others(key: str, prefix: str, others: frozenset[str]) -> bool:
    """Tell whether an object below a prefix is another fleet's: below that fleet's name."""
    name, slash, _ = key.removeprefix(prefix).partition("/")
    return bool(slash) and name in others


def is_waiting(
    store: ObjectStore, prefixes: Prefixes, others: frozenset[str] = frozenset()
) -> bool:
    """Tell whether a file waits to be filed."""
    return next(incoming_files(store, prefixes, others), None) is not None


def plan_batches(intake: Intake, *, most_files: int = _MOST_FILES, workers: int = 2) -> list[Batch]:
    """Divide the files that wait into batches; in linear time, and without reading any.

    Parameters
    ----------
    intake
        Where the files wait, and the ledger that knows which of them were begun before.
    most_files
        How many files to plan for at most; more wait for the next plan.
    workers
        How many batches can be filed at once: few files are divided among them.

    Returns
    -------
    list of Batch
        Files that a run before this one has begun and not ended come last, each alone, so that
        one which kills its process keeps no other from being filed.
    """
    begun = {claim.identity.key for claim in intake.ledger.open_claims(intake.prefixes.bucket)}
    prefixes = intake.prefixes
    files = incoming_files(intake.store, prefixes, intake.other_fleets())
    waiting = list(islice(files, most_files))
    # Asked for again: a fleet that is there now may have been added, and sent files, since.
    others = intake.other_fleets()
    waiting = [s for s in waiting if not is_of_others(s.key, prefixes.incoming, others)]
    fresh = [stored for stored in waiting if stored.key not in begun]
    alone = [stored for stored in waiting if stored.key in begun]
    share = max(_SMALL_BATCH, -(-len(fresh) // workers))
    batches: list[Batch] = []
    keys: list[str] = []
    size = 0
    for stored in fresh:
        if keys and (len(keys) >= min(share, _BATCH_FILES) or size + stored.size > _BATCH_BYTES):
            batches.append(Batch(tuple(keys), size))
            keys, size = [], 0
        keys.append(stored.key)
        size += stored.size
    if keys:
        batches.append(Batch(tuple(keys), size))
    return batches + [Batch((stored.key,), stored.size) for stored in alone[:_MOST_ALONE]]
