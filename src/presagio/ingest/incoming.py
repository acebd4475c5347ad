"""Which files wait below the incoming prefix."""

from collections.abc import Iterator

from presagio.settings import Prefixes
from presagio.storage.objects import ObjectStore

_SUFFIX = ".csv"


def incoming_keys(store: ObjectStore, prefixes: Prefixes) -> Iterator[str]:
    """Yield the keys of the CSV files that wait to be filed."""
    for stored in store.list(prefixes.bucket, prefixes.incoming):
        if stored.key.lower().endswith(_SUFFIX):
            yield stored.key
