"""Fleets: which machines a deployment serves, and what each fleet has for itself."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from presagio.errors import InvalidSpecError, NotFoundError
from presagio.machine.spec import MachineSpec, load_spec
from presagio.sentences import Number, Sentence
from presagio.settings import Settings

# What lies below `incoming/feedback/` and `incoming/events/` is the default fleet's.
_TAKEN = frozenset({"feedback", "events"})
_LONGEST_NAME = 64
# Bytes of a spec that is added to a running deployment.
LARGEST_SPEC = 512 << 10
_NAME = re.compile("[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Fleet:
    """All machines that one machine spec describes.

    Attributes
    ----------
    spec
        What their readings are.
    settings
        Those of the deployment, with the fleet's own names and places: prefixes, registered model,
        experiment, folders.
    source
        Where the spec comes from: a name, a file, or an object in the store.
    """

    spec: MachineSpec
    settings: Settings
    source: str

    @property
    def name(self) -> str:
        """The fleet's name: that of its machine spec."""
        return self.spec.name

    @property
    def is_default(self) -> bool:
        """Whether it is the fleet whose routes, prefixes and names are without its own."""
        return not self.settings.fleet


@dataclass(frozen=True)
class FleetFault:
    """A spec of which no fleet can be made; the other fleets go on.

    Attributes
    ----------
    name
        What the fleet would be called, as far as that can be told.
    source
        The file, or the object.
    message
        What is wrong, and in which line; in English.
    sentence
        The same, where it can be translated.
    """

    name: str
    source: str
    message: str
    sentence: Sentence | None = None


@dataclass(frozen=True)
class Fleets:
    """The fleets of a deployment, the default one first, and the specs that none can be made of.

    Attributes
    ----------
    removed
        Names of fleets that were added and removed; what lies below their prefixes stays theirs.
    """

    by_name: Mapping[str, Fleet] = field(default_factory=dict)
    faults: tuple[FleetFault, ...] = ()
    removed: frozenset[str] = frozenset()

    @property
    def default(self) -> Fleet | None:
        """The default fleet; None where its spec is at fault."""
        return next((fleet for fleet in self.by_name.values() if fleet.is_default), None)

    @property
    def other_names(self) -> frozenset[str]:
        """Names of all fleets but the default one, of those that are not served now too."""
        others = {name for name, fleet in self.by_name.items() if not fleet.is_default}
        return self.removed | others | {fault.name for fault in self.faults}

    def check_any(self) -> None:
        """Refuse to go on where no fleet is left.

        Raises
        ------
        InvalidSpecError
            If all specs are at fault.
        """
        if not self.by_name:
            raise InvalidSpecError("\n".join(fault.message for fault in self.faults))

    def get(self, name: str | None = None) -> Fleet:
        """Return a fleet by its name, the default one without.

        Raises
        ------
        NotFoundError
            If there is no such fleet; the message names those that there are.
        InvalidSpecError
            If there would be one, and its spec is at fault.
        """
        found = self.default if name is None else self.by_name.get(name)
        if found is not None:
            return found
        for fault in self.faults:
            if name in {None, fault.name}:
                raise InvalidSpecError(fault.sentence or fault.message)
        raise NotFoundError(f"there is no fleet {name!s:.80}; there are: {', '.join(self.by_name)}")


def can_be_called(name: str) -> bool:
    """Tell whether a fleet can have a name, which becomes a part of keys, paths and routes."""
    return _NAME.fullmatch(name) is not None and len(name) <= _LONGEST_NAME and name not in _TAKEN


def make_fleet(spec: MachineSpec, settings: Settings, source: str | Sentence) -> Fleet:
    """Make a fleet beside the default one: its names and places follow from the spec's name.

    Parameters
    ----------
    spec, settings
        What the readings of its machines are, and the deployment's settings.
    source
        Where the spec comes from; or, where it comes from nowhere yet, what messages call it.

    Raises
    ------
    InvalidSpecError
        If a fleet cannot have this name.
    """
    if not can_be_called(spec.name):
        raise InvalidSpecError(
            Sentence(
                "machine spec %(source)s: a fleet cannot be called %(name)s; take another name of "
                "at most %(most)s letters",
                {"source": source, "name": spec.name[:80], "most": Number(_LONGEST_NAME)},
            )
        )
    return Fleet(spec, settings.of_fleet(spec.name), str(source))


def spec_sources(settings: Settings) -> list[str]:
    """Return the specs of the fleets beside the default one, folders gone through, in order."""
    sources: list[str] = []
    for entry in settings.fleets:
        folder = Path(entry)
        sources += sorted(map(str, folder.glob("*.toml"))) if folder.is_dir() else [entry]
    return [source for source in dict.fromkeys(sources) if source != settings.machine_spec]


def _default_fleet(settings: Settings) -> Fleet:
    return Fleet(load_spec(settings.machine_spec), settings, settings.machine_spec)


def load_fleets(settings: Settings) -> Fleets:
    """Load the fleets that the settings name; a spec at fault stops its own fleet only.

    Those that were added to a running deployment are not among them:
    :func:`presagio.storage.fleets.read_fleets` knows them too.
    """
    found: dict[str, Fleet] = {}
    faults: list[FleetFault] = []
    for source in (settings.machine_spec, *spec_sources(settings)):
        try:
            if source == settings.machine_spec:
                fleet = _default_fleet(settings)
            else:
                fleet = make_fleet(load_spec(source), settings, source)
        except InvalidSpecError as err:
            faults.append(FleetFault(Path(source).stem, source, str(err), err.sentence))
            continue
        if (other := found.get(fleet.name)) is not None:
            taken = Sentence(
                "machine spec %(source)s: its name %(name)s is that of %(other)s too",
                {"source": source, "name": fleet.name, "other": other.source},
            )
            faults.append(FleetFault(fleet.name, source, str(taken), taken))
            continue
        found[fleet.name] = fleet
    return Fleets(found, tuple(faults))


def static_fleet(settings: Settings, name: str | None) -> Fleet | None:
    """Return a fleet that the settings name; None where they name none of this name.

    The default fleet is found without a look at any other spec.

    Raises
    ------
    InvalidSpecError
        If its spec is at fault.
    """
    if name is None:
        return _default_fleet(settings)
    fleets = load_fleets(settings)
    if name not in fleets.by_name and name not in {fault.name for fault in fleets.faults}:
        return None
    return fleets.get(name)
