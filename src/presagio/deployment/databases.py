"""Roles of PostgreSQL: which database each owns, and which variable has its password."""

SUPERUSER = "postgres"
# Each role owns one database.
DATABASES = {"airflow": "airflow", "mlflow": "mlflow_db", "presagio": "presagio"}
# The inference API reads and writes the tables that its replicas share, in the ledger's database.
API_ROLE, API_PASSWORD = "presagio_api", "PRESAGIO_API_DB_PASSWORD"
API_TABLES = "api\\_%"


def password_variables() -> dict[str, str]:
    """Return the variable that has the password of each database role, and of the superuser."""
    roles = {role: f"PRESAGIO_{role.upper()}_DB_PASSWORD" for role in DATABASES}
    return roles | {"presagio": "PRESAGIO_DB_PASSWORD", SUPERUSER: "PRESAGIO_POSTGRES_PASSWORD"}
