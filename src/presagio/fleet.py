"""Fleets: which machines a deployment serves, and what each fleet's things are called."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from presagio.errors import InvalidSpecError, NotFoundError
from presagio.machine.spec import MachineSpec, load_spec
from presagio.settings import Prefixes, Settings

# Its names are those that the product had before there were fleets, without its own in them.
DEFAULT_FLEET = "ai4i2020"


@dataclass(frozen=True)
class Fleet:
    """All machines that one machine spec describes, with what they have for themselves.

    Attributes
    ----------
    spec
        What their readings are.
    prefixes
        Where their files come from and go to.
    model_name, experiment
        What their registered model and their experiment are called in MLflow.
    source
        Where the spec comes from: a file, an object in the store, or the package.
    """

    spec: MachineSpec
    prefixes: Prefixes
    model_name: str
    experiment: str
    source: str = ""

    @property
    def name(self) -> str:
        """The fleet's name: that of its machine spec."""
        return self.spec.name

    @property
    def is_default(self) -> bool:
        """Whether it is the fleet that has the routes, prefixes and names without its own."""
        return self.name == DEFAULT_FLEET

    def named(self, base: str) -> str:
        """Return the fleet's own name for one of several alike things, such as a DAG."""
        return base if self.is_default else f"{base}_{self.name}"


@dataclass(frozen=True)
class FleetFault:
    """A spec of which no fleet can be made; the other fleets go on.

    Attributes
    ----------
    name
        What the fleet would be called, as far as it can be told.
    source
        The file or object.
    message
        What is wrong, and in which line.
    """

    name: str
    source: str
    message: str


@dataclass(frozen=True)
class Fleets:
    """The fleets of a deployment by name, and the specs that none can be made of.

    Attributes
    ----------
    removed
        Names of fleets that are served no more; their prefixes stay theirs.
    """

    fleets: Mapping[str, Fleet] = field(default_factory=dict)
    faults: tuple[FleetFault, ...] = ()
    removed: frozenset[str] = frozenset()

    @property
    def default(self) -> Fleet | None:
        """The default fleet; None where it is not served."""
        return self.fleets.get(DEFAULT_FLEET)

    def get(self, name: str | None = None) -> Fleet:
        """Return a fleet by name; without one the default fleet, or the only one.

        Raises
        ------
        NotFoundError
            If there is no such fleet; the message names those that there are.
        InvalidSpecError
            If there would be one, and its spec is at fault.
        """
        if name is None:
            if (found := self.default) is not None:
                return found
            if len(self.fleets) == 1:
                return next(iter(self.fleets.values()))
        elif (found := self.fleets.get(name)) is not None:
            return found
        for fault in self.faults:
            if fault.name == name:
                raise InvalidSpecError(f"fleet {name} is not served: {fault.message}")
        known = ", ".join(self.fleets) or "none"
        if name is None:
            raise NotFoundError(f"there is no default fleet; name one of: {known}")
        raise NotFoundError(f"there is no fleet {name}; known are: {known}")


def make_fleet(spec: MachineSpec, settings: Settings, source: str = "") -> Fleet:
    """Make the fleet of a machine spec: its prefixes and names follow from the spec's name."""
    prefixes = settings.prefixes
    if spec.name == DEFAULT_FLEET:
        return Fleet(spec, prefixes, settings.model_name, settings.experiment, source)
    of_fleet = {
        area: f"{getattr(prefixes, area)}{spec.name}/"
        for area in ("incoming", "processed", "quarantine", "archive", "curated")
    }
    return Fleet(
        spec,
        prefixes.model_copy(update=of_fleet),
        f"svm_{spec.name}",
        f"machine_failure_prediction_{spec.name}",
        source,
    )


def with_reserved(fleets: Mapping[str, Fleet], removed: Iterable[str] = ()) -> dict[str, Fleet]:
    """Keep the default fleet, whose prefix lies above those of all others, out of theirs."""
    default = fleets.get(DEFAULT_FLEET)
    if default is None:
        return dict(fleets)
    others = {*fleets, *removed} - {DEFAULT_FLEET}
    reserved = tuple(sorted(f"{default.prefixes.incoming}{name}/" for name in others))
    prefixes = default.prefixes.model_copy(update={"reserved": reserved})
    return {**fleets, DEFAULT_FLEET: replace(default, prefixes=prefixes)}


def spec_sources(settings: Settings) -> list[str]:
    """Return the specs that the settings name, each a name or a file, folders gone through."""
    sources: list[str] = []
    for entry in settings.fleets:
        if Path(entry).is_dir():
            sources += sorted(str(path) for path in Path(entry).glob("*.toml"))
        else:
            sources.append(entry)
    return sources


def load_fleets(settings: Settings) -> Fleets:
    """Load the fleets that the settings name; a spec at fault stops its own fleet only.

    Those that were added to a running deployment are not among them:
    :func:`presagio.storage.fleets.read_fleets` knows them too.
    """
    fleets: dict[str, Fleet] = {}
    faults: list[FleetFault] = []
    for source in spec_sources(settings):
        try:
            fleet = make_fleet(load_spec(source), settings, source)
        except InvalidSpecError as err:
            faults.append(FleetFault(Path(source).stem, source, str(err)))
            continue
        if (other := fleets.get(fleet.name)) is not None:
            message = f"{source}: its name {fleet.name} is that of {other.source} too"
            faults.append(FleetFault(fleet.name, source, message))
            continue
        fleets[fleet.name] = fleet
    return Fleets(with_reserved(fleets), tuple(faults))
