"""The PostgreSQL database of the ledger: connections and migrations."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, NullPool, create_engine

from presagio.settings import Settings, reveal


def open_database(settings: Settings) -> Engine:
    """Open the ledger's database; a connection lives as long as its transaction.

    No pool: filing an object takes far longer than connecting, nothing is left open where a
    process is killed, and a restarted PostgreSQL is met without stale connections.
    """
    url = reveal(settings.database_url, "PRESAGIO_DATABASE_URL")
    return create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": 5})


def migrate(engine: Engine) -> None:
    """Bring the database to the newest schema; does nothing when it is there."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
