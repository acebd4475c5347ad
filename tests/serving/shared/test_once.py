"""What is sent twice is done once, whoever dies meanwhile."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from presagio.errors import StorageError
from presagio.serving.shared.database import Database
from presagio.serving.shared.once import Once, content_digest
from presagio.settings import Settings
from tests.conftest import RunningServices
from tests.serving.sharing_replicas import at_once, replica_settings, shared_database

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(services: RunningServices, tmp_path: Path) -> Settings:
    return replica_settings(services, tmp_path)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    database = shared_database(settings)
    yield database
    database.close()


def test_of_many_at_once_one_works_and_all_get_its_answer(settings: Settings) -> None:
    ran, everyone = [], [shared_database(settings) for _ in range(3)]

    def work() -> list[str]:
        ran.append(threading.get_ident())
        time.sleep(0.2)
        return [f"by {len(ran)}"]

    digest = content_digest("test", {"a": 1})
    answers = at_once([partial(Once(everyone[i % 3]).run, digest, work) for i in range(15)])
    assert answers == [["by 1"]] * 15
    assert len(ran) == 1
    for database in everyone:
        database.close()


def test_what_failed_is_done_again(database: Database) -> None:
    def fails() -> str:
        raise StorageError("the store is down")

    digest = content_digest("test", "fails")
    with pytest.raises(StorageError, match="the store is down"):
        Once(database).run(digest, fails)
    assert Once(database).run(digest, lambda: "done") == "done"
    assert Once(database).run(digest, fails) == "done"


_HOLDS = """
import sys, time
from presagio.serving.shared.database import Database
from presagio.serving.shared.once import Once

def work():
    print("holds", flush=True)
    time.sleep(60)

Once(Database(sys.argv[1])).run(bytes.fromhex(sys.argv[2]), work)
"""


def test_a_replica_that_is_killed_at_its_work_holds_nobody_up(
    settings: Settings, database: Database
) -> None:
    assert settings.api_database_url is not None
    address = settings.api_database_url.get_secret_value().replace("+psycopg", "")
    digest = content_digest("test", "killed")
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDS, address, digest.hex()], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "holds\n"
    os.kill(holder.pid, signal.SIGKILL)
    began = time.monotonic()
    assert Once(database).run(digest, lambda: "by the next one") == "by the next one"
    assert time.monotonic() - began < 5.0
    holder.wait()
    holder.stdout.close()


def test_without_a_database_whoever_asks_is_answered() -> None:
    assert Once(None).run(b"", lambda: 1) == 1
    unreachable = Database("postgresql://presagio_api:x@127.0.0.1:9/presagio")
    began = time.monotonic()
    assert [Once(unreachable).run(b"", lambda: 2) for _ in range(20)] == [2] * 20
    assert time.monotonic() - began < 5.0
