"""Ask a service in a container how it is: ``python -m presagio.stack.probe PART``.

For the parts of Airflow that have no port of their own: the API server knows their heartbeats.
"""

import json
import os
import sys
import urllib.request
from http import HTTPStatus

_TIMEOUT_S = 5


def is_healthy(url: str, component: str) -> bool:
    """Say whether Airflow's API server has a fresh heartbeat of one of its parts."""
    with urllib.request.urlopen(  # noqa: S310 - the address is ours
        f"{url}/api/v2/monitor/health", timeout=_TIMEOUT_S
    ) as answer:
        entry = json.load(answer).get(component) or {}
        return answer.status == HTTPStatus.OK and entry.get("status") == "healthy"


if __name__ == "__main__":
    sys.exit(not is_healthy(os.environ["PRESAGIO_AIRFLOW_URL"], sys.argv[1]))
