"""The ledger's database behind Debian's PgBouncer, which pools by transaction."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import create_async_engine

from presagio.orchestration.database_options import POOLED
from presagio.stack.postgres import server_account
from presagio.storage.database import open_database
from presagio.storage.ledger import Ledger
from tests.conftest import RunningServices, free_ports
from tests.e2e.stack import eventually

ROOT = Path(__file__).parents[2]
START = ROOT / "deploy" / "pgbouncer" / "start.sh"
PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")


@pytest.fixture(scope="module")
def pooled(services: RunningServices, stack_home: Path) -> Iterator[Engine]:
    """Two clients' worth of connections through as many of the server as the pooler likes."""
    if PGBOUNCER is None:
        pytest.skip("pgbouncer is not installed")
    folder, port, account = stack_home / "pgbouncer", free_ports().broker, server_account()
    folder.mkdir()
    if account is not None:
        os.chown(folder, account.uid, account.gid)
    env = {
        "PATH": f"{os.environ['PATH']}:/usr/sbin", "TMPDIR": str(folder),
        "POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(services.ports.postgres),
        "PGBOUNCER_ADDRESS": "127.0.0.1", "PGBOUNCER_PORT": str(port),
        "AIRFLOW_DB_PASSWORD": services.credentials.airflow_db_password,
        "PRESAGIO_DB_PASSWORD": services.credentials.presagio_db_password,
    }  # fmt: skip
    url = services.credentials.database_url(services.ports, "presagio")
    url = url.replace(f":{services.ports.postgres}/", f":{port}/")
    settings = services.settings.model_copy(
        update={"database_url": SecretStr(url), "database_pooled": True}
    )
    # Not by its path, which leads through folders of root's: the account may not read those.
    with subprocess.Popen(
        ["/bin/sh", "-c", START.read_text("utf-8")], env=env, cwd="/",
        user=account.uid if account else None, group=account.gid if account else None,
    ) as process:  # fmt: skip
        engine = open_database(settings)
        try:
            assert eventually(lambda: _answers(engine), limit_s=20)
            yield engine
        finally:
            engine.dispose()
            process.terminate()


def _answers(engine: Engine) -> bool:
    try:
        with engine.connect() as connection:
            return bool(connection.scalar(sa.text("SELECT 1")) == 1)
    except sa.exc.OperationalError:
        return False


def test_nothing_is_prepared_on_connections_that_change(pooled: Engine) -> None:
    def ask(number: int) -> int:
        with pooled.begin() as connection:
            return int(connection.scalar(sa.text("SELECT :n + 0"), {"n": number}) or 0)

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(400))) == list(range(400))
    with pooled.begin() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM pg_prepared_statements")) == 0


def test_airflow_connects_through_it_both_ways(pooled: Engine) -> None:
    compose = (ROOT / "deploy" / "compose.celery.yaml").read_text("utf-8")
    drivers = re.findall(r"SQL_ALCHEMY_CONN(?:_ASYNC)?: (\S+?)://", compose)
    assert drivers == ["postgresql+psycopg", "postgresql+psycopg_async"]
    url = pooled.url.set(drivername=drivers[1])

    async def ask() -> list[int]:
        engine = create_async_engine(url, connect_args=POOLED, pool_size=4)

        async def one(number: int) -> int:
            async with engine.begin() as connection:
                return int(await connection.scalar(sa.text("SELECT :n + 0"), {"n": number}) or 0)

        found = await asyncio.gather(*map(one, range(200)))
        await engine.dispose()
        return found

    assert asyncio.run(ask()) == list(range(200))


def test_a_lock_of_a_transaction_holds_until_its_end(pooled: Engine) -> None:
    lock = sa.select(sa.func.pg_try_advisory_xact_lock(4711))
    with pooled.begin() as first:
        assert first.scalar(lock) is True
        with pooled.begin() as second:
            assert second.scalar(lock) is False
    with pooled.begin() as third:
        assert third.scalar(lock) is True


def test_the_ledger_is_read_and_counted(pooled: Engine) -> None:
    ledger = Ledger(pooled)
    for _ in range(10):
        assert ledger.receipts(bucket="no-such-bucket", limit=None) == []
        assert list(ledger.open_claims("no-such-bucket")) == []
