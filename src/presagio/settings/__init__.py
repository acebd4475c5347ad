"""One typed settings object: read once at an entry point, handed down from there."""

import os
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
)
from pydantic_settings import SettingsConfigDict

from presagio.errors import SettingsError
from presagio.settings.addresses import AddressSettings
from presagio.settings.console import ConsoleSettings
from presagio.settings.faults import describe_faults
from presagio.settings.ingest import IngestSettings
from presagio.settings.keeping import KeepingSettings
from presagio.settings.lifecycle import LifecycleSettings
from presagio.settings.serving import ServingSettings
from presagio.settings.workers import WorkerSettings

CREDENTIALS_FILE = "credentials.env"
ADDRESSES_FILE = "stack.env"
_REPOSITORY = Path(__file__).parents[3]
# Prefix, in the data bucket, of what looks for drift leave.
MONITORING = "monitoring/"
# Prefix, in the data bucket, of recorded answers.
ANSWERS = "predictions/"
# Prefix, in the data bucket, of what was scored on arrival.
SCORES = "scores/"
# What the paths of a fleet's routes begin with, before its name.
FLEET_ROUTES = "/fleets/"
# Prefixes of the intake that each fleet has one of its own below.
AREAS = ("incoming", "processed", "quarantine", "archive", "curated")


def _resolved(spec: str) -> str:
    """Make a path absolute: services are started in other folders than the command."""
    path = Path(spec).expanduser()
    is_path = path.suffix == ".toml" or os.sep in spec or path.is_dir()
    return str(path.resolve()) if is_path else spec


class Prefixes(BaseModel):
    """Where the intake reads and writes: one bucket for files, one for the curated data set."""

    model_config = ConfigDict(frozen=True)

    bucket: str = "csv-data"
    incoming: str = "incoming/"
    processed: str = "processed/"
    quarantine: str = "quarantine/"
    archive: str = "archive/"
    curated_bucket: str = "data"
    curated: str = "curated/"


class Settings(
    KeepingSettings,
    LifecycleSettings,
    IngestSettings,
    AddressSettings,
    WorkerSettings,
    ConsoleSettings,
    ServingSettings,
):
    """Everything that can be configured; each field is the variable ``PRESAGIO_<FIELD>``.

    The environment comes first, then what ``presagio up`` wrote into the home folder: generated
    secrets (``credentials.env``, mode 0600) and the addresses of the stack (``stack.env``).
    """

    model_config = SettingsConfigDict(
        # Lists are decoded by a validator, so that all faults are found and not the first one.
        env_prefix="PRESAGIO_", frozen=True, extra="ignore", enable_decoding=False,
    )  # fmt: skip

    home: Annotated[Path, Field(description="Folder of the local stack: data, logs, secrets.")]
    machine_spec: Annotated[
        str,
        Field(
            description="Machine spec of the default fleet: the name of one that ships with "
            "Presagio, or a TOML file."
        ),
    ] = "ai4i2020"
    fleets: Annotated[
        tuple[str, ...],
        Field(
            description="Machine specs of the fleets beside the default one: a folder of TOML "
            "files, or files and names with commas between."
        ),
    ] = ()
    ai4i_csv: Annotated[
        Path | None, Field(description="A CSV file of labelled readings to train on.")
    ] = None

    ai4i_sha256: Annotated[
        str | None,
        Field(
            description="SHA-256 that `presagio data fetch` must find; else the first one found.",
            pattern="^[0-9a-f]{64}$",
        ),
    ] = None
    dags_folder: Annotated[
        Path, Field(description="Folder with the Airflow DAG files; the repository's by default.")
    ] = _REPOSITORY / "airflow" / "dags"

    # Which fleet these settings are of; empty for the default fleet. See `of_fleet`.
    _fleet: str = PrivateAttr(default="")

    @field_validator("fleets", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """Take a list with commas, as people write it, besides a JSON list."""
        if isinstance(value, str) and not value.lstrip().startswith("["):
            return tuple(entry.strip() for entry in value.split(",") if entry.strip())
        return value

    @field_validator("fleets")
    @classmethod
    def _resolve_all(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        found = tuple(map(_resolved, value))
        if any("," in spec for spec in found):
            # They are handed on to services with commas between.
            raise ValueError("a path of a machine spec has a comma in it")
        return found

    @field_validator("machine_spec")
    @classmethod
    def _resolve(cls, value: str) -> str:
        return _resolved(value)

    @property
    def fleet(self) -> str:
        """Name of the fleet that these settings are of; empty for the default fleet."""
        return self._fleet

    def of_fleet(self, name: str) -> Self:
        """Return the settings of another fleet: its names and places instead of the default's.

        Parameters
        ----------
        name
            The fleet's name, which has been checked: it becomes a part of paths and keys.
        """
        names = {
            "model_name": f"svm_{name}",
            "experiment": f"machine_failure_prediction_{name}",
        }
        settings = self.model_copy(update=names)
        settings._fleet = name  # noqa: SLF001 - its own, of a copy
        return settings

    def place(self, prefix: str) -> str:
        """Return the fleet's own prefix below one that ends with a slash."""
        return f"{prefix}{self._fleet}/" if self._fleet else prefix

    def named(self, base: str) -> str:
        """Return the fleet's own name of something that each has one of, such as a DAG."""
        return f"{base}_{self._fleet}" if self._fleet else base

    @property
    def fleet_route(self) -> str:
        """What the paths of the fleet's routes of the inference API begin with."""
        return f"{FLEET_ROUTES}{self._fleet}" if self._fleet else ""

    @property
    def prefixes(self) -> Prefixes:
        """Where the fleet's intake reads and writes by default."""
        usual = Prefixes(bucket=self.s3_bucket, curated_bucket=self.data_bucket)
        return usual.model_copy(update={area: self.place(getattr(usual, area)) for area in AREAS})

    @property
    def _fleet_home(self) -> Path:
        return self.home / "fleets" / self._fleet if self._fleet else self.home

    @property
    def data_folder(self) -> Path:
        """Where fetched and generated data sets are kept."""
        return self._fleet_home / "data"

    @property
    def model_cache(self) -> Path:
        """Where artifacts fetched from the registry are kept."""
        return self._fleet_home / "models"

    @property
    def answers_folder(self) -> Path:
        """Where answers of the API lie until they are in the data bucket."""
        return self._fleet_home / "answers"

    @property
    def accounts_file(self) -> Path:
        """Who besides the built-in accounts may ask the API, with hashes of their secrets."""
        return self.home / "accounts.json"


def find_home(start: Path | None = None) -> Path:
    """Find the home folder: ``PRESAGIO_HOME``, else the nearest ``.presagio`` upwards.

    Where there is none yet it is ``.presagio`` beside the nearest ``pyproject.toml`` or, failing
    that, in the folder itself.
    """
    if named := os.environ.get("PRESAGIO_HOME"):
        return Path(named).expanduser().resolve()
    here = (start or Path.cwd()).resolve()
    for mark in (".presagio", "pyproject.toml"):
        for folder in (here, *here.parents):
            if (folder / mark).exists():
                return folder / ".presagio"
    return here / ".presagio"


def load_settings(home: Path | None = None) -> Settings:
    """Read the settings from the environment and from the home folder.

    Parameters
    ----------
    home
        The home folder; found by :func:`find_home` when not given.

    Returns
    -------
    Settings
        The immutable settings.

    Raises
    ------
    SettingsError
        If values cannot be used; the message names each variable, what it takes and what came, of
        a secret its length only.
    """
    folder = (home.expanduser().resolve() if home else None) or find_home()
    files = (folder / CREDENTIALS_FILE, folder / ADDRESSES_FILE)
    try:
        return Settings(
            home=folder,
            _env_file=files,
            _env_file_encoding="utf-8",
            _env_ignore_empty=True,
        )
    except ValidationError as err:
        faults = "".join(f"\n  {fault}" for fault in describe_faults(err, Settings, files))
        raise SettingsError(f"settings cannot be used:{faults}") from None
