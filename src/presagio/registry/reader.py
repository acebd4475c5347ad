"""Read the registry: resolve an alias to a version, list versions, fetch what they are made of.

Over MLflow's REST API and not by its package, whose import takes 3 s, 130 MiB and pandas: the
inference API reads the registry and nothing else of it.
"""

import re
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from presagio.errors import NoChampionError, PresagioError, RegistryError, UnknownVersionError
from presagio.inference.artifact import CARD, FILES, LARGEST
from presagio.inference.manifest import parse_card
from presagio.registry import cache as caching
from presagio.registry import schemas
from presagio.registry.exchange import Deadline, shown
from presagio.registry.server import (
    CONTRADICTION,
    INVALID,
    NOT_FOUND,
    MlflowRefusalError,
    MlflowServer,
    below,
    translated,
)
from presagio.registry.versions import (
    ARTIFACT,
    DIGEST_TAG,
    HOLDOUT,
    REFERENCE,
    Alias,
    ListedVersion,
    RegisteredVersion,
)
from presagio.settings import Settings

_DIGEST = re.compile("[0-9a-f]{64}")
# What is fetched of a version: files of these names and no others, whatever a listing would say.
_FILES = {ARTIFACT: FILES, HOLDOUT: (f"{HOLDOUT}.parquet",), REFERENCE: (f"{REFERENCE}.parquet",)}


class RegistryReader:
    """A registered model in MLflow, read only; failures are :class:`RegistryError`.

    Safe to use from several threads.
    """

    def __init__(
        self, url: str, model_name: str, *, timeout_s: float, account: tuple[str, str] | None,
        download_s: float = 120.0, download_bytes: int = 1 << 30,
    ) -> None:  # fmt: skip
        self._server = MlflowServer(url, timeout_s=timeout_s, account=account)
        self._name = model_name
        self._download_s, self._download_bytes = download_s, download_bytes

    @property
    def name(self) -> str:
        """Name of the registered model."""
        return self._name

    def _checked(self, found: schemas.ModelVersionAnswer) -> RegisteredVersion:
        """Return a version that was asked for, if it is one of this model."""
        if found.name != self._name:
            raise MlflowRefusalError(CONTRADICTION, f"it answers with a version of {found.name!r}")
        digest = schemas.as_text(found.tags).get(DIGEST_TAG)
        if digest is not None and not _DIGEST.fullmatch(digest):
            raise MlflowRefusalError(
                CONTRADICTION, f"its tag {DIGEST_TAG} is {digest!r}, no SHA-256"
            )
        return RegisteredVersion(
            found.name, found.version, found.run_id or "", digest, found.source or ""
        )

    def _look_up(
        self, path: str, what: str, missing: PresagioError, **parameters: str
    ) -> RegisteredVersion:
        """Ask for one version; raise ``missing`` where MLflow answers that there is none."""
        with translated(f"look up {what}"):
            try:
                found = self._server.get(schemas.OneVersion, path, name=self._name, **parameters)
            except MlflowRefusalError as err:
                if err.code in {NOT_FOUND, INVALID}:
                    raise missing from err
                raise
            return self._checked(found.model_version)

    def resolve(self, alias: Alias = "champion") -> RegisteredVersion:
        """Return the version that an alias names now.

        Raises
        ------
        NoChampionError
            If MLflow answers that no version carries the alias.
        RegistryError
            If MLflow does not answer.
        """
        missing = NoChampionError(
            f"no version of {self._name} has the alias {alias}; train one: presagio train"
        )
        return self._look_up(
            "registered-models/alias", f"{self._name}@{alias}", missing, alias=alias
        )

    def find_champion(self) -> RegisteredVersion | None:
        """Return the champion; None where there is none.

        Raises
        ------
        RegistryError
            If MLflow does not answer.
        """
        try:
            return self.resolve()
        except NoChampionError:
            return None

    def version(self, number: str) -> RegisteredVersion:
        """Return a version by its number.

        Raises
        ------
        UnknownVersionError
            If there is none of that number.
        RegistryError
            If MLflow does not answer.
        """
        missing = UnknownVersionError(f"{self._name} has no version {number}; see: presagio models")
        return self._look_up(
            "model-versions/get", f"{self._name} version {number}", missing, version=number
        )

    def in_use(self) -> list[RegisteredVersion]:
        """Return the versions that an alias names, whichever it is.

        Raises
        ------
        RegistryError
            If MLflow does not answer.
        """
        with translated(f"read {self._name}"):
            try:
                model = self._server.get(schemas.OneModel, "registered-models/get", name=self._name)
            except MlflowRefusalError as err:
                if err.code == NOT_FOUND:
                    return []
                raise
        numbers = {alias.version for alias in model.registered_model.aliases}
        return [self.version(number) for number in sorted(numbers)]

    def listing(self, *, limit: int = 20) -> list[ListedVersion]:
        """Return the newest versions with their aliases and metrics."""
        with translated(f"list the versions of {self._name}"):
            try:
                model = self._server.get(schemas.OneModel, "registered-models/get", name=self._name)
            except MlflowRefusalError as err:
                if err.code == NOT_FOUND:
                    return []
                raise
            found = self._server.get(
                schemas.FoundVersions, "model-versions/search",
                filter=f"name = '{self._name}'", max_results=limit,
                order_by="version_number DESC",
            )  # fmt: skip
            aliases = model.registered_model.aliases
            return [self._listed(version, aliases) for version in found.model_versions[:limit]]

    def _listed(
        self, found: schemas.ModelVersionAnswer, aliases: tuple[schemas.AliasOf, ...]
    ) -> ListedVersion:
        version = self._checked(found)
        named_by = tuple(
            sorted(entry.alias for entry in aliases if entry.version == version.version)
        )
        run = self._run(version) if version.run_id else None
        data = schemas.RunData() if run is None else run.data
        # What is decided about a version later on, as by the gate, is a tag of its own.
        tags = schemas.as_text((*data.tags, *found.tags))
        return ListedVersion(
            version, named_by, found.created_at, schemas.as_numbers(data.metrics), tags,
            "" if run is None else run.info.experiment_id,
        )  # fmt: skip

    def _run(self, version: RegisteredVersion) -> schemas.RunAnswer:
        return self._server.get(schemas.OneRun, "runs/get", run_id=version.run_id).run

    def _run_data(self, version: RegisteredVersion) -> schemas.RunData:
        # A version may be registered without a run, from files that lie somewhere.
        return self._run(version).data if version.run_id else schemas.RunData()

    def has_deleted_run(self, version: RegisteredVersion) -> bool:
        """Tell whether somebody has deleted the run that made a version."""
        if not version.run_id:
            return False
        with translated(f"read the run of {version.name} version {version.version}"):
            return self._run(version).info.lifecycle_stage == "deleted"

    def tags(self, version: RegisteredVersion) -> dict[str, str]:
        """Return the tags of the run that made a version: its data, its receipts."""
        with translated(f"read the run of {version.name} version {version.version}"):
            return schemas.as_text(self._run_data(version).tags)

    def download(self, version: RegisteredVersion, path: str, folder: Path) -> Path:
        """Download a folder that was logged with a version.

        Parameters
        ----------
        version
            Which version.
        path
            One of the folders that a version of ours has (:mod:`presagio.registry.versions`).
        folder
            Where it comes to lie, under its own name.

        Returns
        -------
        pathlib.Path
            The folder, with the files that belong into it.
        """
        into, left = folder / path, self._download_bytes
        with translated(f"download {path} of {version.name} version {version.version}"):
            root = below(self._run(version).info.artifact_uri)
            into.mkdir(parents=True, exist_ok=True)
            deadline = Deadline(self._download_s)
            for name in _FILES[path]:
                most = min(left, LARGEST.get(name, left))
                left -= self._server.save(f"{root}/{path}/{name}", into / name, most, deadline)
        return into

    def card(self, version: RegisteredVersion) -> dict[str, Any] | None:
        """Return a version's model card; None of one that was registered by other means.

        Raises
        ------
        InvalidArtifactError
            If what is there is no model card.
        RegistryError
            If MLflow does not answer.
        """
        if version.digest is None or not version.run_id:
            return None
        with (
            tempfile.TemporaryDirectory() as scratch,
            translated(f"download the card of {version.name} version {version.version}"),
        ):
            root, file = below(self._run(version).info.artifact_uri), Path(scratch) / CARD
            deadline = Deadline(self._download_s)
            self._server.save(f"{root}/{ARTIFACT}/{CARD}", file, LARGEST[CARD], deadline)
            return parse_card(file.read_bytes())

    def download_source(
        self, version: RegisteredVersion, name: str, file: Path, *, at_most: int | None = None
    ) -> Path:
        """Download one file of the folder that a version was registered from.

        Parameters
        ----------
        version
            Which version.
        name
            The file's name there.
        file
            Where it comes to lie.
        at_most
            Bytes that it may have, if fewer than any download.

        Returns
        -------
        pathlib.Path
            ``file``.
        """
        if name in {"", ".", ".."} or "/" in name:
            raise RegistryError(f"{shown(name)!r} is no name of a file")
        most = min(at_most or self._download_bytes, self._download_bytes)
        with translated(f"download {shown(name)} of {version.name} version {version.version}"):
            root = self._source(version)
            self._server.save(f"{root}/{name}", file, most, Deadline(self._download_s))
        return file

    def _source(self, version: RegisteredVersion) -> str:
        if not version.source.startswith("models:"):
            return below(version.source)
        logged = quote(version.source.removeprefix("models:").strip("/"), safe="")
        return below(
            self._server.get(
                schemas.OneLoggedModel, f"logged-models/{logged}"
            ).model.info.artifact_uri
        )

    def fetch(self, version: RegisteredVersion, cache: Path, *, anew: bool = False) -> Path:
        """Bring a version's serving artifact into a local cache.

        Parameters
        ----------
        version
            Which version.
        cache
            The folder that holds one folder a version.
        anew
            Whether to download it even if the cache has it.

        Returns
        -------
        pathlib.Path
            The artifact folder; what is in it is not verified yet.
        """
        folder = caching.folder_of(cache, version)
        # What is no folder of its own, such as a link or half a file, was not put there by us.
        if anew or folder.is_symlink() or not folder.is_dir():
            caching.remove(cache, folder)
        if not folder.is_dir():
            with translated(f"keep {version.name} version {version.version} in {cache}"):
                self._fetch(version, cache, folder)
        caching.touch(folder)
        return folder

    def _fetch(self, version: RegisteredVersion, cache: Path, folder: Path) -> None:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=cache, prefix=caching.SCRATCH, ignore_cleanup_errors=True
        ) as scratch:
            caching.place(self.download(version, ARTIFACT, Path(scratch)), cache, folder)


def open_reader(settings: Settings) -> RegistryReader:
    """Open the registry that the settings name, to read it; nothing is asked of it yet."""
    return RegistryReader(
        settings.mlflow_url,
        settings.model_name,
        timeout_s=settings.mlflow_timeout_s,
        account=settings.mlflow_account,
        download_s=settings.mlflow_download_s,
        download_bytes=settings.mlflow_download_bytes,
    )
