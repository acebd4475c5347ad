"""What commands work with: settings are read here, once, and what they name is opened from them.

Each part is imported when it is asked for, since most commands need one or two: the registry's
writer (MLflow) takes 1.9 s of the processor, its reader 0.45 s, the ledger 0.4 s, settings 0.2 s.
"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from presagio.settings import Settings, load_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from presagio.ingest.filing import Intake
    from presagio.lifecycle.promotion import Promoter
    from presagio.machine.spec import MachineSpec
    from presagio.registry.reader import RegistryReader
    from presagio.registry.writer import Registry

# ruff: noqa: PLC0415 - see above


class Parts:
    """The settings of a home folder, and what they name, opened when it is first asked for.

    Attributes
    ----------
    settings
        Those of the home folder and of the environment.
    """

    settings: Settings

    def __init__(self, home: Path | None) -> None:
        self.settings = load_settings(home)

    @cached_property
    def spec(self) -> "MachineSpec":
        """The machine spec."""
        from presagio.machine.spec import load_spec

        return load_spec(self.settings.machine_spec)

    @cached_property
    def intake(self) -> "Intake":
        """Store, ledger and what files are checked against."""
        from presagio.ingest.opening import open_intake

        return open_intake(self.settings)

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
    def promoter(self) -> "Promoter":
        """Registry, ledger of decisions and the gate's rules."""
        from presagio.lifecycle.promotion import open_promoter

        return open_promoter(self.settings, self.spec)
