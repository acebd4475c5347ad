"""Several replicas of the API on one real database, and requests to them at once."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import psycopg
from pydantic import SecretStr

from presagio.deployment.databases import API_ROLE
from presagio.serving.shared.database import Database, database_address
from presagio.settings import Settings
from presagio.storage.objects import open_store
from tests.conftest import RunningServices
from tests.serving.conftest import serve_app

T = TypeVar("T")


def as_api(services: RunningServices) -> SecretStr:
    return SecretStr(services.credentials.database_url(services.ports, API_ROLE))


@contextlib.contextmanager
def as_superuser(services: RunningServices) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(
        host="127.0.0.1", port=services.ports.postgres, dbname="presagio", user="postgres",
        password=services.credentials.postgres_password, autocommit=True,
    ) as connection:  # fmt: skip
        yield connection


def shared_database(settings: Settings) -> Database:
    address = database_address(settings)
    assert address is not None
    return Database(address)


def replica_settings(services: RunningServices, home: Path) -> Settings:
    """Return settings of replicas with a bucket and a home of their own, and no clients."""
    bucket = f"data-{uuid4().hex[:8]}"
    own = {
        "home": home, "data_bucket": bucket, "s3_bucket": bucket, "model_name": bucket,
        "experiment": bucket, "record_seconds": 0.2, "api_database_url": as_api(services),
    }  # fmt: skip
    settings = services.settings.model_copy(update=own)
    open_store(settings).create_bucket(bucket)
    with as_superuser(services) as connection:
        # The people of the console's tests, which share the table, stay.
        connection.execute("DELETE FROM api_accounts WHERE kind = 'client'")
        for table in ("account_files", "attempts", "known_networks", "requests"):
            connection.execute(f"TRUNCATE api_{table}")
    return settings


@contextlib.contextmanager
def replicas(settings: Settings, homes: Sequence[Path]) -> Iterator[list[httpx.Client]]:
    """Serve one replica a home, each with connections of its own to everything."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(serve_app(settings.model_copy(update={"home": home})))
            for home in homes
        ]


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [call.result() for call in [pool.submit(call) for call in calls]]
