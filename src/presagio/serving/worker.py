"""The processes of the API: one, or several side by side that are started again when they die."""

import os
import resource
import socket
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvicorn

from presagio.serving import prometheus
from presagio.serving.champion import board
from presagio.serving.http.at_once import AtOnceProtocol
from presagio.serving.http.edge import Asgi
from presagio.serving.logs import configure_logs
from presagio.serving.shared.database import database_address
from presagio.settings import Settings

# Idle connections stay open so long; clients that ask now and then need no new one.
_KEEP_ALIVE_S = 30
# What is being answered when a worker is told to stop may take so long; container engines kill
# after 10 s.
_GRACE_S = 8
_SWITCH_S = 0.001
_FILES = 16_384
_REPLICA_VARIABLE = "PRESAGIO_REPLICA"


def make_app() -> Asgi:
    """Make the application of one worker: what uvicorn calls in each process."""
    configure_logs()
    # Threads that write or explain leave the interpreter's lock to the next answer sooner.
    sys.setswitchinterval(_SWITCH_S)
    # Imported after the logs are set, so that nothing is said in another form.
    from presagio.serving.app import create_app  # noqa: PLC0415

    return create_app(owns_process=True)


def server_options() -> dict[str, Any]:
    """Return the options of uvicorn, which are the same for a server in a test."""
    return {
        "http": AtOnceProtocol, "loop": "uvloop", "ws": "none", "lifespan": "on",
        "log_config": None, "access_log": False, "server_header": False,
        "timeout_keep_alive": _KEEP_ALIVE_S, "timeout_graceful_shutdown": _GRACE_S,
        # uvicorn would believe whoever asks from this machine; the edge looks whom it may believe.
        "proxy_headers": False,
    }  # fmt: skip


def _allow_files() -> None:
    """Let this process and its workers open as many files as they may: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _FILES:
        wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def serve(settings: Settings, *, host: str, port: int) -> None:
    """Serve until told to stop.

    Parameters
    ----------
    settings
        How many workers; they read the rest themselves.
    host, port
        Where to listen.
    """
    workers = settings.api_workers
    if database_address(settings) is not None and not settings.replica:
        os.environ[_REPLICA_VARIABLE] = f"{socket.gethostname()}:{port}"
    with ExitStack() as stack:
        if workers > 1:
            shared = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="presagio-api-")))
            for variable, name in (
                (board.FOLDER_VARIABLE, "workers"), (prometheus.FOLDER_VARIABLE, "metrics"),
            ):  # fmt: skip
                (shared / name).mkdir()
                os.environ[variable] = str(shared / name)
        _allow_files()
        uvicorn.run(
            "presagio.serving.worker:make_app", factory=True, host=host, port=port,
            workers=workers, **server_options(),
        )  # fmt: skip
