"""How Airflow connects to PostgreSQL through PgBouncer, by ``[database] sql_alchemy_connect_args``.

PgBouncer may give each transaction another connection of the server, where what was prepared in the
one before is not known. psycopg prepares what it runs often, unless it is told not to.
"""

# What presagio.storage.database gives psycopg, where PRESAGIO_DATABASE_POOLED says the same.
POOLED = {"prepare_threshold": None}
