"""Roles of PostgreSQL: which database each owns, and which variable has its password."""

SUPERUSER = "postgres"
# Each role owns one database.
DATABASES = {"airflow": "airflow", "mlflow": "mlflow_db", "presagio": "presagio"}


def password_variables() -> dict[str, str]:
    """Return the variable that has the password of each database role, and of the superuser."""
    roles = {role: f"PRESAGIO_{role.upper()}_DB_PASSWORD" for role in DATABASES}
    return roles | {"presagio": "PRESAGIO_DB_PASSWORD", SUPERUSER: "PRESAGIO_POSTGRES_PASSWORD"}
