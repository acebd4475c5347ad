"""What commands work with: settings are read here, once, and what they name is opened from them.

Each part is imported when it is asked for, since most commands need one or two: the registry's
writer (MLflow) takes 1.9 s of the processor, its reader 0.45 s, the ledger 0.4 s, settings 0.2 s.
"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from presagio.errors import DataError
from presagio.settings import Settings, load_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from presagio.fleet import Fleet
    from presagio.ingest.filing import Intake
    from presagio.lifecycle.promotion import Promoter
    from presagio.machine.spec import MachineSpec
    from presagio.registry.reader import RegistryReader
    from presagio.registry.writer import Registry
    from presagio.storage.audit import AuditLog

# ruff: noqa: PLC0415 - see above


class Parts:
    """The settings of a home folder, and what they name, opened when it is first asked for.

    Parameters
    ----------
    home
        The home folder; found where it is not given.
    fleet
        Name of the fleet that it is about; the default one where it is not given.

    Attributes
    ----------
    deployment
        The settings of the home folder and of the environment.
    """

    def __init__(self, home: Path | None, fleet: str | None = None) -> None:
        self.deployment, self._name = load_settings(home), fleet

    @property
    def settings(self) -> Settings:
        """The settings of the fleet."""
        return self.deployment if self._name is None else self.fleet.settings

    @cached_property
    def fleet(self) -> "Fleet":
        """The fleet."""
        from presagio.storage.fleets import find_fleet

        return find_fleet(self.deployment, self._name)

    @property
    def spec(self) -> "MachineSpec":
        """The fleet's machine spec."""
        return self.fleet.spec

    @cached_property
    def intake(self) -> "Intake":
        """Store, ledger and what files are checked against."""
        from presagio.ingest.opening import open_intake

        return open_intake(self.fleet)

    @property
    def intake_of_units(self) -> "Intake":
        """The intake of a fleet whose readings have units and times.

        Raises
        ------
        DataError
            If they have none.
        """
        if not self.spec.is_series:
            raise DataError(
                f"the machine spec of {self.spec.name} has no [unit] and [time], so nothing can be "
                "said of a unit"
            )
        return self.intake

    @cached_property
    def database(self) -> "Engine":
        """The database of ledger and decisions."""
        from presagio.storage.database import open_database

        return open_database(self.settings)

    @cached_property
    def reader(self) -> "RegistryReader":
        """The registry, to read from."""
        from presagio.registry.reader import open_reader

        return open_reader(self.settings)

    @cached_property
    def registry(self) -> "Registry":
        """The registry, to read from and to write to."""
        from presagio.registry.writer import open_registry

        return open_registry(self.settings)

    @cached_property
    def audit(self) -> "AuditLog":
        """The audit log: what people change."""
        from presagio.storage.audit import AuditLog

        return AuditLog(self.database)

    @cached_property
    def promoter(self) -> "Promoter":
        """Registry, ledger of decisions and the gate's rules."""
        from presagio.lifecycle.promotion import open_promoter

        return open_promoter(self.settings, self.spec)
