"""Run one function over many tasks on a cluster of Ray, or on a Ray of this machine alone.

Ray Core's tasks, one for each file, and no Ray Data: a task calls the function that a process of
one machine calls too (decision 52). Ray is an extra, imported when it is asked for.
"""

import contextlib
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from presagio.errors import ResourceError, SettingsError
from presagio.scoring.engine import Work, cores, worker_variables
from presagio.settings import Settings, load_settings

T = TypeVar("T")
R = TypeVar("R")
# A task is given to another worker so often when its own has died, with its node or alone.
_RETRIES = 3
# Results are small, and so is a model: the store of objects needs no more.
_OBJECT_BYTES = 256 << 20
_START_S = 120
# On a busy machine a part of it may be too late for another one, which waits 15 s (ray#65983).
_STARTS = 3
_TOKEN = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
# Each task has one processor.
_VARIABLES = worker_variables(1)
_FIRST_TOKEN_FILE = Path("~/.ray/auth_token")


@cache
def _settings_of(home: str) -> Settings:
    """Read the settings where the task runs: no secret goes through the cluster."""
    return load_settings(Path(home))


def _call(work: Work[Any, Any], home: str, task: Any) -> Any:
    return work(_settings_of(home), task)


@dataclass(frozen=True)
class RayEngine:
    """Tasks of a cluster; as of :class:`.engine.Engine`.

    Attributes
    ----------
    home
        The home folder that settings are read from, where a node has it.
    at_once
        How many tasks are handed over at a time.
    """

    home: str
    at_once: int

    def run(self, work: Work[T, R], tasks: Iterable[T], lost: Callable[[T, str], R]) -> Iterator[R]:
        """Yield the result of each task; one whose worker or node died runs again elsewhere."""
        import ray  # noqa: PLC0415

        rest, running = iter(tasks), dict[Any, T]()
        call = ray.remote(num_cpus=1, max_retries=_RETRIES)(_call)
        shared = ray.put(work)
        try:
            while True:
                while len(running) < self.at_once and (task := next(rest, None)) is not None:
                    running[call.remote(shared, self.home, task)] = task
                if not running:
                    return
                done, _ = ray.wait([*running], num_returns=1)
                for reference in done:
                    task = running.pop(reference)
                    yield _result(reference, task, lost)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


def _result(reference: Any, task: T, lost: Callable[[T, str], R]) -> R:
    import ray  # noqa: PLC0415

    try:
        found: R = ray.get(reference)
    except ray.exceptions.RayTaskError:
        # What the function itself raises is a fault of the program.
        raise
    except ray.exceptions.RayError as err:
        return lost(task, f"its worker has ended {_RETRIES + 1} times ({type(err).__name__})")
    return found


@contextlib.contextmanager
def _variables(wanted: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _variables_for(address: str | None) -> dict[str, str]:
    """Return what Ray reads from the environment when it is imported and started."""
    wanted = {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
    if address is None:
        # Every server of it listens on loopback, and takes who has a token of this run.
        return wanted | _VARIABLES | {
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_raylet_start_wait_time_s": str(_START_S),
        }  # fmt: skip
    if (
        not any(os.environ.get(name) for name in _TOKEN)
        and not _FIRST_TOKEN_FILE.expanduser().exists()
    ):
        raise SettingsError(
            f"the Ray cluster at {address} asks for a token: set {' or '.join(_TOKEN)}"
        )
    return wanted


@contextlib.contextmanager
def opened_cluster(
    settings: Settings, address: str | None, workers: int | None
) -> Iterator[RayEngine]:
    """Connect to a cluster of Ray, or start one on this machine and end it after.

    Parameters
    ----------
    settings
        Whose home folder tasks read their settings from.
    address
        Host and port of the cluster's control store; None: a Ray on loopback, for this run alone.
    workers
        How many tasks at a time; as many as there are processors where it is not given.

    Raises
    ------
    SettingsError
        If Ray is not installed, or no token is there for the cluster.
    ResourceError
        If Ray cannot be started or reached.
    """
    with _variables(_variables_for(address)):
        try:
            import ray  # noqa: PLC0415
        except ImportError as err:
            raise SettingsError(
                'Ray is not installed; it is an extra: pip install "presagio[ray]"'
            ) from err
        folder = tempfile.mkdtemp(prefix="ray-")
        try:
            _connect(ray, address, workers or cores(), folder)
            # Two for each processor, so that none waits for this process.
            yield RayEngine(str(settings.home), workers or 2 * _processors(ray))
        finally:
            ray.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


def _processors(ray: Any) -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def _connect(ray: Any, address: str | None, workers: int, folder: str) -> None:
    options: dict[str, Any] = {
        "logging_level": logging.ERROR, "log_to_driver": False, "configure_logging": False,
    }  # fmt: skip
    if address is None:
        options |= {
            "address": "local", "num_cpus": workers, "include_dashboard": False,
            "object_store_memory": _OBJECT_BYTES, "_temp_dir": folder,
        }  # fmt: skip
    else:
        options |= {"address": address, "runtime_env": {"env_vars": _VARIABLES}}
    for left in reversed(range(_STARTS if address is None else 1)):
        try:
            ray.init(**options)
        except Exception as err:
            # Ray has no base of what this raises.
            if left:
                ray.shutdown()
                continue
            where = "cannot be started" if address is None else f"at {address} cannot be reached"
            raise ResourceError(f"Ray {where}: {str(err)[:500]}") from err
        return
