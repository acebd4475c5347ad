"""Fleets that were added to a running deployment: their specs are objects in the data bucket.

Every service reaches the bucket, on one host or several, so it is where they look. A spec that was
removed lies beside the others under ``removed/``: its data stay, and so does its prefix.
"""

from presagio.errors import DataError, InvalidSpecError, NotFoundError
from presagio.fleet import (
    DEFAULT_FLEET,
    Fleet,
    FleetFault,
    Fleets,
    load_fleets,
    make_fleet,
    with_reserved,
)
from presagio.machine.spec import MachineSpec, parse_spec
from presagio.settings import Settings
from presagio.storage.objects import ObjectStore

PREFIX = "fleets/"
_REMOVED = f"{PREFIX}removed/"
_SUFFIX = ".toml"
LARGEST_SPEC = 512 << 10


def _key(name: str) -> str:
    return f"{PREFIX}{name}{_SUFFIX}"


def _listed(settings: Settings, store: ObjectStore) -> tuple[list[str], frozenset[str]]:
    """Return the names of the specs that are there, and of those that were removed."""
    names: list[str] = []
    removed: set[str] = set()
    for stored in store.list(settings.data_bucket, PREFIX):
        if stored.key.startswith(_REMOVED):
            removed.add(stored.key.removeprefix(_REMOVED).removesuffix(_SUFFIX))
        elif stored.key.endswith(_SUFFIX):
            names.append(stored.key.removeprefix(PREFIX).removesuffix(_SUFFIX))
    return sorted(names), frozenset(removed - {*names})


def _added_spec(text: bytes, name: str, source: str) -> MachineSpec:
    if len(text) > LARGEST_SPEC:
        raise InvalidSpecError(f"{source} has {len(text)} bytes; {LARGEST_SPEC} are the most")
    spec = parse_spec(text, source)
    if spec.name != name:
        raise InvalidSpecError(f"{source}: it is the spec of {spec.name}")
    return spec


def read_fleets(settings: Settings, store: ObjectStore) -> Fleets:
    """Read all fleets: those that the settings name, and those that were added.

    Raises
    ------
    StorageError
        If the store does not answer.
    """
    named = load_fleets(settings)
    fleets, faults = dict(named.fleets), list(named.faults)
    added, removed = _listed(settings, store)
    for name in added:
        source = f"s3://{settings.data_bucket}/{_key(name)}"
        if name in fleets:
            continue
        read = store.read(settings.data_bucket, _key(name))
        if read is None:
            continue
        try:
            fleets[name] = make_fleet(_added_spec(read[0], name, source), settings, source)
        except InvalidSpecError as err:
            faults.append(FleetFault(name, source, str(err)))
    removed -= fleets.keys()
    return Fleets(with_reserved(fleets, removed), tuple(faults), removed)


def add_fleet(settings: Settings, store: ObjectStore, text: bytes, source: str) -> Fleet:
    """Add a fleet, or put another spec in the place of one that was added.

    Parameters
    ----------
    settings, store
        Where specs are kept.
    text
        The spec, as TOML.
    source
        What the spec is called in messages.

    Raises
    ------
    InvalidSpecError
        If it is no spec.
    DataError
        If the settings name a fleet of this name: its spec is changed where they say.
    StorageError
        If the store does not answer.
    """
    if len(text) > LARGEST_SPEC:
        raise InvalidSpecError(f"{source} has {len(text)} bytes; {LARGEST_SPEC} are the most")
    spec = parse_spec(text, source)
    if (named := load_fleets(settings).fleets.get(spec.name)) is not None:
        raise DataError(
            f"fleet {spec.name} comes from {named.source}, which PRESAGIO_FLEETS names; change it "
            "there, and start the deployment again"
        )
    store.write(settings.data_bucket, _key(spec.name), text)
    return make_fleet(spec, settings, f"s3://{settings.data_bucket}/{_key(spec.name)}")


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
    named = load_fleets(settings)
    if name in named.fleets or name == DEFAULT_FLEET:
        raise DataError(
            f"fleet {name} is named by PRESAGIO_FLEETS; take it out there, and start the "
            "deployment again"
        )
    added, _ = _listed(settings, store)
    if name not in added:
        known = ", ".join([*named.fleets, *added])
        raise NotFoundError(f"there is no fleet {name}; known are: {known}")
    read = store.read(settings.data_bucket, _key(name))
    if read is not None:
        store.write(settings.data_bucket, f"{_REMOVED}{name}{_SUFFIX}", read[0])
        store.delete_unchanged(settings.data_bucket, read[1])
