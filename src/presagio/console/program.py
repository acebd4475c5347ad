"""The process of the console: one server, which waits for slow services in threads."""

from typing import Any

import uvicorn

from presagio.console.app import create_app
from presagio.console.connections import ConsoleProtocol
from presagio.serving.logs import configure_logs
from presagio.settings import Settings

_KEEP_ALIVE_S = 30
_GRACE_S = 8


def server_options() -> dict[str, Any]:
    """Return the options of uvicorn, which are the same for a server in a test."""
    return {
        "http": ConsoleProtocol, "loop": "uvloop", "ws": "none", "lifespan": "on",
        "log_config": None, "access_log": False, "server_header": False,
        "timeout_keep_alive": _KEEP_ALIVE_S, "timeout_graceful_shutdown": _GRACE_S,
        # It is decided elsewhere which proxies are believed.
        "proxy_headers": False,
    }  # fmt: skip


def serve(settings: Settings, *, host: str, port: int) -> None:
    """Serve until told to stop.

    Parameters
    ----------
    settings
        Those of the deployment.
    host, port
        Where to listen.
    """
    configure_logs()
    uvicorn.run(create_app(settings), host=host, port=port, **server_options())
