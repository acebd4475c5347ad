"""MLflow's REST API: answers as what they are documented to be, and files of what it serves."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, unquote, urlsplit

from pydantic import BaseModel

from presagio.errors import RegistryError
from presagio.registry import schemas
from presagio.registry.exchange import Deadline, Exchange, ExchangeError, StatusError, shown

NOT_FOUND = "RESOURCE_DOES_NOT_EXIST"
# What MLflow answers for an alias that no version carries, and for a version that is no number.
INVALID = "INVALID_PARAMETER_VALUE"
# The code that stands here for an answer that contradicts itself or the question.
CONTRADICTION = "INVALID_STATE"
_API = "/api/2.0/mlflow/"
_PROXIED = "/api/2.0/mlflow-artifacts/artifacts"
_Parsed = TypeVar("_Parsed", bound=BaseModel)


class MlflowRefusalError(Exception):
    """MLflow answers, and not with what was asked for; ``code`` is its own."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"({shown(code)}): {shown(message)}")
        self.code = code


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Raise what goes wrong while ``action`` is done as :class:`RegistryError`."""
    try:
        yield
    except (MlflowRefusalError, ExchangeError) as err:
        raise RegistryError(
            f"MLflow cannot {action}: {err}; check PRESAGIO_MLFLOW_URL and that the server is up"
        ) from err
    except schemas.UnexpectedAnswerError as err:
        raise RegistryError(
            f"MLflow cannot {action}: its answer is not one of MLflow's ({shown(str(err))}); check "
            "PRESAGIO_MLFLOW_URL and what stands before the server"
        ) from err
    except OSError as err:
        raise RegistryError(f"MLflow cannot {action}: {err}; check the disk") from err


def below(uri: str) -> str:
    """Return the path of an artifact folder below the root that MLflow serves.

    Raises
    ------
    RegistryError
        If MLflow does not serve it itself, or it leads out of that root.
    """
    try:
        parts = urlsplit(uri)
    except ValueError as err:
        raise RegistryError(f"artifacts are at {shown(uri)}, which is no address") from err
    if parts.scheme != "mlflow-artifacts":
        raise RegistryError(
            f"artifacts are at {shown(uri)}, which MLflow does not serve; start it with "
            "--artifacts-destination, so that it does"
        )
    path = parts.path.strip("/")
    if {".", ".."} & set(unquote(path).split("/")):
        raise RegistryError(f"artifacts are at {shown(uri)}, which is not below MLflow's own root")
    return path


class MlflowServer:
    """An MLflow server, read only. Safe to use from several threads.

    Raises :class:`MlflowRefusalError`, :class:`ExchangeError` or :class:`UnexpectedAnswerError`;
    :func:`translated` makes one error of them.
    """

    def __init__(self, url: str, *, timeout_s: float, account: tuple[str, str] | None) -> None:
        self._exchange = Exchange(url, timeout_s=timeout_s, account=account)

    def get(self, schema: type[_Parsed], path: str, **parameters: str | int) -> _Parsed:
        """Return the answer to a question."""
        deadline = Deadline(self._exchange.timeout_s)
        try:
            raw = self._exchange.get(_API + path, parameters, deadline)
        except StatusError as err:
            raise _refused(err) from err
        return schemas.parse(schema, raw)

    def save(self, path: str, file: Path, at_most: int, deadline: Deadline) -> int:
        """Download an artifact into a file; return its size."""
        try:
            return self._exchange.save(f"{_PROXIED}/{quote(path)}", file, at_most, deadline)
        except StatusError as err:
            raise _refused(err) from err


def _refused(err: StatusError) -> MlflowRefusalError:
    try:
        refusal = schemas.parse(schemas.Refusal, err.body)
    except schemas.UnexpectedAnswerError:
        refusal = schemas.Refusal()
    return MlflowRefusalError(refusal.error_code or str(err.status), refusal.message or str(err))
