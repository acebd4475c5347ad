"""What has to exist before services can use it: roles, databases, migrations, buckets.

Run by the supervisor as steps of their own (``python -m presagio.stack.provision STEP``), so that
the libraries they need do not stay in the supervisor's memory. Every step can be repeated.
"""

import os
import sys
from collections.abc import Callable

import httpx
import psycopg
from psycopg import sql

from presagio.settings import Settings, load_settings, reveal
from presagio.stack.credentials import DATABASES, load_credentials
from presagio.stack.layout import Layout
from presagio.stack.postgres import SUPERUSER
from presagio.storage.database import open_database
from presagio.storage.migration import migrate
from presagio.storage.objects import open_store

_WEBHOOKS, _WEBHOOK = "/api/2.0/mlflow/webhooks", "presagio-api"
_OTHER_BUCKETS = ("mlflow", "data")


def _ensure_role(connection: psycopg.Connection, role: str, password: str) -> None:
    exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
    verb = sql.SQL("ALTER" if exists else "CREATE")
    connection.execute(
        sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(
            verb, sql.Identifier(role), sql.Literal(password)
        )
    )


def _ensure_database(connection: psycopg.Connection, database: str, owner: str) -> None:
    found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,))
    if not found.fetchone():
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(
                sql.Identifier(database), sql.Identifier(owner)
            )
        )
    connection.execute(
        sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database))
    )


def provision_databases(settings: Settings) -> None:
    """Create one role and one database a service, and bring the ledger to its newest schema."""
    credentials = load_credentials(Layout(settings.home))
    with psycopg.connect(
        host="127.0.0.1",
        port=int(os.environ["PRESAGIO_POSTGRES_PORT"]),
        user=SUPERUSER,
        password=credentials.postgres_password,
        dbname="postgres",
        autocommit=True,
    ) as connection:
        for role, database in DATABASES.items():
            _ensure_role(connection, role, credentials.database_password(role))
            _ensure_database(connection, database, role)
    migrate(open_database(settings))


def provision_buckets(settings: Settings) -> None:
    """Create the buckets."""
    store = open_store(settings)
    for bucket in (settings.s3_bucket, *_OTHER_BUCKETS):
        store.create_bucket(bucket)


def provision_webhook(settings: Settings) -> None:
    """Have MLflow tell the API when an alias changes; the API also looks by itself."""
    secret = reveal(settings.mlflow_webhook_secret, "PRESAGIO_MLFLOW_WEBHOOK_SECRET")
    with httpx.Client(base_url=settings.mlflow_url, timeout=settings.mlflow_timeout_s) as client:
        found = client.get(_WEBHOOKS).raise_for_status().json().get("webhooks", [])
        # Ports may have moved since, and the secret may be another one.
        for old in found:
            if old["name"] == _WEBHOOK:
                client.delete(f"{_WEBHOOKS}/{old['webhook_id']}").raise_for_status()
        wanted = {
            "name": _WEBHOOK,
            "url": f"{settings.api_url}/model/webhook",
            "events": [
                {"entity": "MODEL_VERSION_ALIAS", "action": action}
                for action in ("CREATED", "DELETED")
            ],
            "secret": secret,
            "status": "ACTIVE",
        }
        client.post(_WEBHOOKS, json=wanted).raise_for_status()


_STEPS: dict[str, Callable[[Settings], None]] = {
    "databases": provision_databases,
    "buckets": provision_buckets,
    "webhook": provision_webhook,
}

if __name__ == "__main__":
    _STEPS[sys.argv[1]](load_settings())
