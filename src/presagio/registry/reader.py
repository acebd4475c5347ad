"""Read the registry: resolve an alias to a version, list versions, fetch what they are made of.

Over MLflow's REST API and not by its package, whose import takes 3 s, 130 MiB and pandas: the
inference API reads the registry and nothing else of it.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from presagio.errors import NoChampionError, RegistryError
from presagio.registry.versions import (
    ARTIFACT,
    DIGEST_TAG,
    Alias,
    ListedVersion,
    RegisteredVersion,
)
from presagio.settings import Settings

_API = "/api/2.0/mlflow/"
_PROXIED = "/api/2.0/mlflow-artifacts/artifacts"
_NOT_FOUND = "RESOURCE_DOES_NOT_EXIST"
_BAD_ALIAS = "INVALID_PARAMETER_VALUE"  # what MLflow says of an alias that no version carries
# A model is a few MB; what is larger is no model of ours and would fill the disk.
_LARGEST_BYTES = 1 << 30


class _RefusedError(Exception):
    """MLflow answers, and not with what was asked for; ``code`` is its own."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"({code}): {message}")
        self.code = code


@contextmanager
def _translated(action: str) -> Iterator[None]:
    try:
        yield
    except (_RefusedError, httpx.HTTPError) as err:
        said = str(err) or type(err).__name__
        raise RegistryError(
            f"MLflow cannot {action}: {said}; check PRESAGIO_MLFLOW_URL and that the server is up"
        ) from err
    except OSError as err:
        raise RegistryError(f"MLflow cannot {action}: {err}; check the disk") from err


def _pairs(found: Any) -> dict[str, Any]:
    return {entry["key"]: entry.get("value") for entry in found or ()}


def _registered(found: Mapping[str, Any]) -> RegisteredVersion:
    digest = _pairs(found.get("tags")).get(DIGEST_TAG)
    return RegisteredVersion(
        found["name"], str(found["version"]), found.get("run_id") or "", digest,
        found.get("source") or "",
    )  # fmt: skip


def _below(uri: str) -> str:
    """Return the path of an artifact folder below the root that MLflow serves.

    Raises
    ------
    RegistryError
        If MLflow does not serve it itself.
    """
    parts = urlsplit(uri)
    if parts.scheme != "mlflow-artifacts":
        raise RegistryError(
            f"artifacts are at {uri}, which MLflow does not serve; start it with "
            "--artifacts-destination, so that it does"
        )
    return parts.path.strip("/")


class RegistryReader:
    """A registered model in MLflow, read only; failures are :class:`RegistryError`.

    Safe to use from several threads.
    """

    def __init__(
        self, url: str, model_name: str, *, timeout_s: float, account: tuple[str, str] | None
    ) -> None:
        # Without connections that stay open: it is asked seldom, and nobody has to close it.
        transport = httpx.HTTPTransport(retries=1, limits=httpx.Limits(max_keepalive_connections=0))
        self._http = httpx.Client(
            base_url=url, timeout=timeout_s, transport=transport, auth=account
        )
        self._name = model_name

    @property
    def name(self) -> str:
        """Name of the registered model."""
        return self._name

    def _get(self, path: str, **parameters: str | int) -> dict[str, Any]:
        answer = self._http.get(_API + path, params=parameters)
        if answer.is_error:
            try:
                said = dict(answer.json())
            except ValueError:
                said = {}
            code = str(said.get("error_code") or answer.status_code)
            raise _RefusedError(code, str(said.get("message") or answer.reason_phrase))
        try:
            return dict(answer.json())
        except ValueError as err:
            raise _RefusedError(str(answer.status_code), "this is no MLflow server") from err

    def resolve(self, alias: Alias = "champion") -> RegisteredVersion:
        """Return the version that an alias names now.

        Raises
        ------
        NoChampionError
            If MLflow answers that no version carries the alias.
        RegistryError
            If MLflow does not answer.
        """
        with _translated(f"look up {self._name}@{alias}"):
            try:
                found = self._get("registered-models/alias", name=self._name, alias=alias)
            except _RefusedError as err:
                if err.code in {_NOT_FOUND, _BAD_ALIAS}:
                    raise NoChampionError(
                        f"no version of {self._name} has the alias {alias}; "
                        "train one: presagio train"
                    ) from err
                raise
        return _registered(found["model_version"])

    def version(self, number: str) -> RegisteredVersion:
        """Return a version by its number.

        Raises
        ------
        RegistryError
            If there is none of that number, or MLflow does not answer.
        """
        with _translated(f"look up {self._name} version {number}"):
            found = self._get("model-versions/get", name=self._name, version=number)
        return _registered(found["model_version"])

    def listing(self, *, limit: int = 20) -> list[ListedVersion]:
        """Return the newest versions with their aliases and figures."""
        with _translated(f"list the versions of {self._name}"):
            try:
                model = self._get("registered-models/get", name=self._name)
            except _RefusedError as err:
                if err.code == _NOT_FOUND:
                    return []
                raise
            aliases = model["registered_model"].get("aliases", ())
            named = [(entry["alias"], str(entry["version"])) for entry in aliases]
            found = self._get(
                "model-versions/search", filter=f"name = '{self._name}'", max_results=limit,
                order_by="version_number DESC",
            )  # fmt: skip
            return [self._listed(version, named) for version in found.get("model_versions", ())]

    def _listed(self, found: Mapping[str, Any], named: list[tuple[str, str]]) -> ListedVersion:
        version = _registered(found)
        own = tuple(sorted(alias for alias, number in named if number == version.version))
        created = datetime.fromtimestamp(int(found["creation_timestamp"]) / 1000, UTC)
        data = self._run(version)["data"] if version.run_id else {}
        tags = _pairs(data.get("tags")) | _pairs(found.get("tags"))
        return ListedVersion(version, own, created, _pairs(data.get("metrics")), tags)

    def _run(self, version: RegisteredVersion) -> dict[str, Any]:
        run: dict[str, Any] = self._get("runs/get", run_id=version.run_id)["run"]
        return run

    def tags(self, version: RegisteredVersion) -> dict[str, str]:
        """Return the tags of the run that made a version: its data, its receipts."""
        with _translated(f"read the run of {version.name} version {version.version}"):
            return _pairs(self._run(version)["data"].get("tags"))

    def download(self, version: RegisteredVersion, path: str, folder: Path) -> Path:
        """Download a folder that was logged with a version; return where it is in ``folder``."""
        with _translated(f"download {path} of {version.name} version {version.version}"):
            root = _below(self._run(version)["info"]["artifact_uri"])
            return self._download(f"{root}/{path}", folder / path)

    def download_model(self, version: RegisteredVersion, folder: Path) -> Path:
        """Download the folder of the model that a version was registered from."""
        with _translated(f"download {version.name} version {version.version}"):
            source = urlsplit(version.source)
            if source.scheme == "models":
                model = self._get(f"logged-models/{quote(source.path.strip('/'), safe='')}")[
                    "model"
                ]
                return self._download(_below(model["info"]["artifact_uri"]), folder)
            return self._download(_below(version.source), folder)

    def _download(self, root: str, folder: Path) -> Path:
        left = _LARGEST_BYTES
        waiting = [(root, folder)]
        while waiting:
            path, into = waiting.pop()
            into.mkdir(parents=True, exist_ok=True)
            listed = self._http.get(_PROXIED, params={"path": path})
            listed.raise_for_status()
            files = listed.json().get("files", [])
            if not files and into == folder:
                raise _RefusedError(_NOT_FOUND, f"there is nothing at {path}")
            for entry in files:
                name = str(entry["path"])
                if name in {"", ".", ".."} or "/" in name or "\0" in name:
                    raise _RefusedError("INVALID_STATE", f"a file is called {name!r}")
                if entry.get("is_dir"):
                    waiting.append((f"{path}/{name}", into / name))
                else:
                    left -= self._save(f"{path}/{name}", into / name, left)
        return folder

    def _save(self, path: str, file: Path, most: int) -> int:
        written = 0
        with (
            self._http.stream("GET", f"{_PROXIED}/{quote(path)}") as answer,
            file.open("wb") as out,
        ):
            answer.raise_for_status()
            for part in answer.iter_bytes():
                written += len(part)
                if written > most:
                    raise _RefusedError(
                        "INVALID_STATE", f"it is larger than {_LARGEST_BYTES} bytes"
                    )
                out.write(part)
        return written

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
        folder = cache / f"{version.name}-{version.version}-{version.run_id}"
        if anew:
            shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            return folder
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            got = self.download(version, ARTIFACT, Path(scratch))
            # Another process may have been faster; a folder in the cache is always whole.
            if not folder.exists():
                shutil.move(got, folder)
        return folder


def open_reader(settings: Settings) -> RegistryReader:
    """Open the registry that the settings name, to read it; nothing is asked of it yet."""
    return RegistryReader(
        settings.mlflow_url,
        settings.model_name,
        timeout_s=settings.mlflow_timeout_s,
        account=settings.mlflow_account,
    )
