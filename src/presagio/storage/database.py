"""The PostgreSQL database of the ledger: connections and migrations."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine

from presagio.settings import Settings, reveal


def open_database(settings: Settings) -> Engine:
    """Open the ledger's database; connections are made when they are first used."""
    url = reveal(settings.database_url, "PRESAGIO_DATABASE_URL")
    return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 5})


def migrate(engine: Engine) -> None:
    """Bring the database to the newest schema; does nothing when it is there."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
