"""Ask a service in a container how it is: ``python -m presagio.stack.probe PART``.

For the parts of Airflow that have no port of their own: the API server, which
``PRESAGIO_AIRFLOW_URL`` names, knows their heartbeats.
"""

import os
import sys
from datetime import UTC, datetime
from urllib.parse import urlsplit

from presagio.stack.health import airflow_component

if __name__ == "__main__":
    where = urlsplit(os.environ["PRESAGIO_AIRFLOW_URL"])
    check = airflow_component(where.port or 80, sys.argv[1], where.hostname or "127.0.0.1")
    # Of whatever age: the engine waits after a start by itself.
    sys.exit(not check(datetime.min.replace(tzinfo=UTC)))
