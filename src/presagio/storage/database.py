"""The PostgreSQL database of the ledger: connections and migrations."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine

from presagio.settings import Settings, reveal

MIGRATIONS = Path(__file__).parent / "migrations"
_CONNECTIONS = 4


def open_database(settings: Settings) -> Engine:
    """Open the ledger's database.

    Connections are kept while the process lives, since PostgreSQL's password check costs more than
    filing a small object does; each is tried before its use, so a restarted PostgreSQL is met.
    """
    url = reveal(settings.database_url, "PRESAGIO_DATABASE_URL")
    return create_engine(
        url,
        pool_size=_CONNECTIONS,
        max_overflow=_CONNECTIONS,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 5},
    )


def migrate(engine: Engine) -> None:
    """Bring the database to the newest schema; does nothing when it is there."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
