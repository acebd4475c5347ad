"""Fleets that were added to a running deployment: their specs are objects in the data bucket.

Every service reaches the bucket, on one host or several, so it is where they look. A spec that was
removed lies below ``removed/``: what the fleet has stays, and its prefixes stay its own.
"""

from dataclasses import replace

from presagio.errors import DataError, InvalidSpecError, NotFoundError
from presagio.fleet import (
    LARGEST_SPEC,
    Fleet,
    FleetFault,
    Fleets,
    can_be_called,
    load_fleets,
    make_fleet,
    static_fleet,
)
from presagio.machine.spec import parse_spec
from presagio.sentences import Number, Sentence
from presagio.settings import Settings
from presagio.storage.objects import ObjectStore, open_store

PREFIX = "fleets/"
_REMOVED = f"{PREFIX}removed/"
_SUFFIX = ".toml"


def _key(name: str) -> str:
    return f"{PREFIX}{name}{_SUFFIX}"


def place_of(settings: Settings, name: str) -> str:
    """Return what the object with the spec of an added fleet is called in messages."""
    return f"{settings.data_bucket}/{_key(name)}"


def added_specs(settings: Settings, store: ObjectStore) -> tuple[dict[str, str], frozenset[str]]:
    """Return the specs that were added, name and ETag, and the names of those removed since.

    An object that is not named as a fleet can be is none.

    Raises
    ------
    StorageError
        If the store does not answer.
    """
    found: dict[str, dict[str, str]] = {PREFIX: {}, _REMOVED: {}}
    for stored in store.list(settings.data_bucket, PREFIX):
        folder = _REMOVED if stored.key.startswith(_REMOVED) else PREFIX
        name, suffix, rest = stored.key.removeprefix(folder).partition(_SUFFIX)
        if suffix and not rest and can_be_called(name):
            found[folder][name] = stored.etag
    return found[PREFIX], frozenset(found[_REMOVED].keys() - found[PREFIX].keys())


def _checked(text: bytes, settings: Settings, source: str) -> Fleet:
    if len(text) > LARGEST_SPEC:
        raise InvalidSpecError(
            Sentence(
                "machine spec %(source)s has %(bytes)s bytes; %(most)s are the most",
                {"source": source, "bytes": Number(len(text), 0), "most": Number(LARGEST_SPEC, 0)},
            )
        )
    return make_fleet(parse_spec(text, source), settings, source)


def read_added(settings: Settings, store: ObjectStore, name: str) -> Fleet | None:
    """Read the fleet that was added under a name; None where there is none (any more).

    Raises
    ------
    InvalidSpecError
        If its spec is at fault.
    StorageError
        If the store does not answer.
    """
    read = store.read(settings.data_bucket, _key(name))
    if read is None:
        return None
    source = place_of(settings, name)
    fleet = _checked(read[0], settings, source)
    if fleet.name != name:
        raise InvalidSpecError(
            Sentence(
                "machine spec %(source)s: its name is %(name)s",
                {"source": source, "name": fleet.name},
            )
        )
    return fleet


def read_fleets(settings: Settings, store: ObjectStore) -> Fleets:
    """Read all fleets: those that the settings name, and those that were added.

    Of two of one name it is the one that the settings name.

    Raises
    ------
    StorageError
        If the store does not answer.
    """
    added, removed = added_specs(settings, store)
    named = load_fleets(settings)
    found, faults = dict(named.by_name), list(named.faults)
    for name in sorted(added.keys() - found.keys()):
        try:
            fleet = read_added(settings, store, name)
        except InvalidSpecError as err:
            faults.append(FleetFault(name, place_of(settings, name), str(err), err.sentence))
            continue
        if fleet is not None:
            found[name] = fleet
    return Fleets(found, tuple(faults), removed)


def find_fleet(settings: Settings, name: str | None = None) -> Fleet:
    """Find a fleet by its name, the default one without; the store is asked if need be.

    Raises
    ------
    InvalidSpecError
        If its spec is at fault.
    NotFoundError
        If there is no such fleet; the message names those that there are.
    StorageError
        If the store does not answer.
    """
    found = static_fleet(settings, name)
    return read_fleets(settings, open_store(settings)).get(name) if found is None else found


def other_names(settings: Settings, store: ObjectStore) -> frozenset[str]:
    """Return the names of all fleets but the default one, whose prefixes lie below its own.

    Raises
    ------
    StorageError
        If the store does not answer.
    """
    added, removed = added_specs(settings, store)
    return load_fleets(settings).other_names | removed | added.keys()


def _refuse_named(settings: Settings, name: str) -> None:
    if (named := load_fleets(settings).by_name.get(name)) is not None:
        raise DataError(
            f"fleet {name} comes from {named.source}, which the settings name "
            "(PRESAGIO_MACHINE_SPEC, PRESAGIO_FLEETS); change it there, and start the deployment "
            "again"
        )


def add_fleet(settings: Settings, store: ObjectStore, text: bytes, source: str) -> Fleet:
    """Add a fleet, or put another spec in the place of one that was added.

    Parameters
    ----------
    settings, store
        Where specs are kept.
    text
        The spec, as TOML.
    source
        What it is called in messages.

    Raises
    ------
    InvalidSpecError
        If it is no spec.
    DataError
        If the settings name a fleet of this name: its spec is changed there.
    StorageError
        If the store does not answer.
    """
    fleet = _checked(text, settings, source)
    _refuse_named(settings, fleet.name)
    store.write(settings.data_bucket, _key(fleet.name), text)
    return replace(fleet, source=place_of(settings, fleet.name))


def remove_fleet(settings: Settings, store: ObjectStore, name: str) -> None:
    """Serve a fleet no more; its files, curated data and models stay where they are.

    Raises
    ------
    NotFoundError
        If no fleet of this name was added.
    DataError
        If the settings name it: it is removed there.
    StorageError
        If the store does not answer.
    """
    _refuse_named(settings, name)
    added, _ = added_specs(settings, store)
    read = store.read(settings.data_bucket, _key(name)) if name in added else None
    if read is None:
        raise NotFoundError(
            f"no fleet {name:.80} was added; there are: {', '.join(sorted(added)) or 'none'}"
        )
    # Kept first: a kill between the two leaves it served, and its prefixes its own.
    store.write(settings.data_bucket, f"{_REMOVED}{name}{_SUFFIX}", read[0])
    store.delete_unchanged(settings.data_bucket, read[1])
