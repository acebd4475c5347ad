"""Airflow as its client: start a run of a DAG, and say how far it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import httpx

from presagio.errors import StackError
from presagio.settings import Settings
from presagio.settings.private import reveal

_LIMIT_S = 10.0
_ENDED = {"success", "failed", "upstream_failed", "skipped", "removed"}
_PAGE = 100


@dataclass(frozen=True)
class RunProgress:
    """How far a run is: tasks of one name that have ended, and how many there are.

    Attributes
    ----------
    state
        ``queued``, ``running``, ``success`` or ``failed``.
    """

    state: str
    done: int
    tasks: int

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it runs any more."""
        return self.state in {"success", "failed"}


@contextmanager
def _reaching(settings: Settings) -> Iterator[None]:
    """Turn a refusal of Airflow, or its absence, into :class:`StackError`."""
    try:
        yield
    except httpx.HTTPStatusError as err:
        answer = err.response
        raise StackError(
            f"{answer.request.url} answers {answer.status_code}: {answer.text[:500]}"
        ) from err
    except httpx.HTTPError as err:
        raise StackError(
            f"no Airflow answers at {settings.airflow_url} ({err}); start the stack: presagio up"
        ) from err


def _path(dag: str, run_id: str) -> str:
    return f"/api/v2/dags/{dag}/dagRuns/{run_id}"


class AirflowRuns:
    """Starts runs and looks at them, as the user of Airflow that the settings name.

    Failures are :class:`.StackError`.

    Parameters
    ----------
    settings
        Airflow's address, user and password.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = httpx.Client(base_url=settings.airflow_url, timeout=_LIMIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.close()

    def _sign_in(self) -> None:
        user, secret = self._settings.airflow_account or ("", None)
        login = {"username": user, "password": reveal(secret, "PRESAGIO_AIRFLOW_PASSWORD")}
        answer = self._client.post("/auth/token", json=login).raise_for_status()
        self._client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def start(self, dag: str, params: dict[str, Any], *, run_id: str | None = None) -> str:
        """Start a run with parameters, and return its id, which Airflow gives where there is none.

        Raises
        ------
        SettingsError
            If there is no password.
        """
        with _reaching(self._settings):
            self._sign_in()
            body = {"logical_date": None, "conf": params, "dag_run_id": run_id}
            answer = self._client.post(f"/api/v2/dags/{dag}/dagRuns", json=body)
            return str(answer.raise_for_status().json()["dag_run_id"])

    def state(self, dag: str, run_id: str) -> str:
        """Return the state of a run, which whoever may start one may know too."""
        with _reaching(self._settings):
            return self._state(_path(dag, run_id))

    def progress(self, dag: str, run_id: str, task: str) -> RunProgress:
        """Say how far a run is, by its mapped tasks of one name."""
        with _reaching(self._settings):
            state = self._state(_path(dag, run_id))
            states = [*self._states(f"{_path(dag, run_id)}/taskInstances", task)]
        return RunProgress(state, sum(one in _ENDED for one in states), len(states))

    def _state(self, path: str) -> str:
        answer = self._client.get(path)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            # Not signed in yet, or for longer than a token lasts: a run may last for days.
            self._sign_in()
            answer = self._client.get(path)
        return str(answer.raise_for_status().json()["state"])

    def _states(self, path: str, task: str) -> Iterator[str | None]:
        offset = 0
        while True:
            wanted: dict[str, str | int] = {"task_id": task, "limit": _PAGE, "offset": offset}
            found = self._client.get(path, params=wanted).raise_for_status().json()
            page = found["task_instances"]
            yield from (one["state"] for one in page)
            offset += len(page)
            if not page or offset >= found["total_entries"]:
                return

    def page_of(self, dag: str, run_id: str) -> str:
        """Return the address of a run's page, for people."""
        return f"{self._settings.airflow_url}/dags/{dag}/runs/{run_id}"
