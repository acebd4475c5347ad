"""What has to exist before services can use it: roles, databases, migrations, buckets.

Run by the stack's supervisor and by compose as steps (``python -m presagio.deployment.provision
STEP``), so that the libraries they need do not stay in the supervisor's memory. Every step can be
repeated, and gives accounts the passwords that are set now.
"""

import json
import os
import sys
from collections.abc import Callable
from http import HTTPStatus

import httpx
import psycopg
from psycopg import sql

from presagio.deployment.databases import (
    API_PASSWORD,
    API_ROLE,
    API_TABLES,
    CONSOLE_MAY,
    CONSOLE_PASSWORD,
    CONSOLE_READS_OF_ACCOUNTS,
    CONSOLE_ROLE,
    CONSOLE_TABLES,
    DATABASES,
    SUPERUSER,
    password_variables,
)
from presagio.errors import SettingsError
from presagio.fleet import load_fleets
from presagio.settings import Settings, load_settings
from presagio.settings.private import reveal
from presagio.storage.database import open_database
from presagio.storage.migration import migrate
from presagio.storage.objects import open_store

_WEBHOOKS, _WEBHOOK = "/api/2.0/mlflow/webhooks", "presagio-api"
_MODELS = "/api/2.0/mlflow/registered-models/create"
_USERS = "/api/2.0/mlflow/users"
_MLFLOW_BUCKET = "mlflow"
# Reads the ledger for dashboards; where it has a password, as in compose.
_MONITOR, _MONITOR_PASSWORD = "presagio_monitor", "PRESAGIO_MONITOR_DB_PASSWORD"


def _password(role: str) -> str:
    variable = password_variables()[role]
    if not os.environ.get(variable):
        raise SettingsError(f"{variable} is not set; databases are made with it")
    return os.environ[variable]


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


def _as_superuser(database: str) -> psycopg.Connection:
    return psycopg.connect(
        host=os.environ.get("PRESAGIO_POSTGRES_HOST", "127.0.0.1"),
        port=int(os.environ.get("PRESAGIO_POSTGRES_PORT", "5432")),
        user=SUPERUSER,
        password=_password(SUPERUSER),
        dbname=database,
        autocommit=True,
    )


def _let_connect(connection: psycopg.Connection, database: str, role: str, variable: str) -> None:
    """Let a role, which owns nothing, into a database; its password is a variable's."""
    _ensure_role(connection, role, os.environ[variable])
    for grant in ("CONNECT ON DATABASE {}", "USAGE ON SCHEMA public"):
        connection.execute(
            sql.SQL("GRANT " + grant + " TO {role}").format(
                sql.Identifier(database), role=sql.Identifier(role)
            )
        )


def _tables(connection: psycopg.Connection, pattern: str) -> list[str]:
    found = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE %s "
        "ORDER BY tablename", (pattern,),
    )  # fmt: skip
    return [name for (name,) in found]


def _let_monitor_read(connection: psycopg.Connection, database: str) -> None:
    """Let who makes dashboards read the ledger, but not the hashes and addresses of the API."""
    _let_connect(connection, database, _MONITOR, _MONITOR_PASSWORD)
    shared = {*_tables(connection, API_TABLES), *_tables(connection, CONSOLE_TABLES)}
    role = sql.Identifier(_MONITOR)
    for table in _tables(connection, "%"):
        verb = "REVOKE ALL ON {} FROM {}" if table in shared else "GRANT SELECT ON {} TO {}"
        connection.execute(sql.SQL(verb).format(sql.Identifier(table), role))


def _let_api_share(connection: psycopg.Connection, database: str) -> None:
    """Let replicas of the API read and write what they share, and nothing else."""
    _let_connect(connection, database, API_ROLE, API_PASSWORD)
    for table in _tables(connection, API_TABLES):
        connection.execute(
            sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {}").format(
                sql.Identifier(table), sql.Identifier(API_ROLE)
            )
        )


def _let_console_work(connection: psycopg.Connection, database: str) -> None:
    """Let the console read the ledger, add what people add, and keep sessions; no secrets."""
    _let_connect(connection, database, CONSOLE_ROLE, CONSOLE_PASSWORD)
    role = sql.Identifier(CONSOLE_ROLE)
    shared, kept = _tables(connection, API_TABLES), set(_tables(connection, CONSOLE_TABLES))
    every = "SELECT, INSERT, UPDATE, DELETE"
    for table in _tables(connection, "%"):
        if table in shared:
            columns = CONSOLE_READS_OF_ACCOUNTS.get(table)
            rights = f"SELECT ({columns})" if columns else ""
        else:
            rights = every if table in kept else f"SELECT, {CONSOLE_MAY.get(table, 'SELECT')}"
        name = sql.Identifier(table)
        connection.execute(sql.SQL("REVOKE ALL ON {} FROM {}").format(name, role))
        if rights:
            grant = sql.SQL("GRANT " + rights + " ON {} TO {}")
            connection.execute(grant.format(name, role))


def provision_ledger(settings: Settings) -> None:
    """Bring the ledger to its newest schema, as the role that owns it: no superuser is needed."""
    engine = open_database(settings)
    try:
        migrate(engine)
    finally:
        engine.dispose()


def provision_databases(settings: Settings) -> None:
    """Create one role and one database a service, and bring the ledger to its newest schema.

    Passwords come from the environment (:func:`password_variables`).

    Raises
    ------
    SettingsError
        If a password is not set.
    """
    with _as_superuser("postgres") as connection:
        for role, database in DATABASES.items():
            _ensure_role(connection, role, _password(role))
            _ensure_database(connection, database, role)
    provision_ledger(settings)
    ledger = DATABASES["presagio"]
    # All at once: who works meanwhile is never without rights that are taken and given again.
    with _as_superuser(ledger) as connection, connection.transaction():
        # Of two at once PostgreSQL would refuse one.
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('provision', 0))")
        if os.environ.get(API_PASSWORD):
            _let_api_share(connection, ledger)
        if os.environ.get(CONSOLE_PASSWORD):
            _let_console_work(connection, ledger)
        if os.environ.get(_MONITOR_PASSWORD):
            _let_monitor_read(connection, ledger)


def provision_buckets(settings: Settings) -> None:
    """Create the buckets."""
    store = open_store(settings)
    for bucket in (settings.s3_bucket, settings.data_bucket, _MLFLOW_BUCKET):
        store.create_bucket(bucket)


def _mlflow(settings: Settings) -> httpx.Client:
    return httpx.Client(
        base_url=settings.mlflow_url,
        timeout=settings.mlflow_timeout_s,
        auth=settings.mlflow_account,
    )


def provision_mlflow_users(settings: Settings) -> None:
    """Create the MLflow users of ``PRESAGIO_MLFLOW_USERS``, as MLflow's admin.

    Its JSON object gives each name a password. Who created a model may change it; others read.
    """
    with _mlflow(settings) as client:
        for name, password in json.loads(os.environ["PRESAGIO_MLFLOW_USERS"]).items():
            account = {"username": name, "password": password}
            found = client.get(f"{_USERS}/get", params={"username": name})
            if found.status_code == HTTPStatus.NOT_FOUND:
                answer = client.post(f"{_USERS}/create", json=account)
            else:
                found.raise_for_status()
                answer = client.patch(f"{_USERS}/update-password", json=account)
            answer.raise_for_status()


def provision_model(settings: Settings) -> None:
    """Create the registered model of each fleet, which belongs to who does it.

    MLflow refuses a name that it does not know (403) to all but its admin, so nobody else could ask
    for the champion of a model that is still to come.
    """
    with _mlflow(settings) as client:
        for fleet in load_fleets(settings).by_name.values():
            answer = client.post(_MODELS, json={"name": fleet.settings.model_name})
            if answer.is_error and answer.json().get("error_code") != "RESOURCE_ALREADY_EXISTS":
                answer.raise_for_status()


def provision_webhook(settings: Settings) -> None:
    """Have MLflow tell the API when an alias changes; the API also looks by itself."""
    secret = reveal(settings.mlflow_webhook_secret, "PRESAGIO_MLFLOW_WEBHOOK_SECRET")
    with _mlflow(settings) as client:
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
    "ledger": provision_ledger,
    "buckets": provision_buckets,
    "mlflow-users": provision_mlflow_users,
    "model": provision_model,
    "webhook": provision_webhook,
}

if __name__ == "__main__":
    for step in sys.argv[1:]:
        _STEPS[step](load_settings())
