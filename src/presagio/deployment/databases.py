"""Roles of PostgreSQL: which database each owns, and which variable has its password."""

SUPERUSER = "postgres"
# Each role owns one database.
DATABASES = {"airflow": "airflow", "mlflow": "mlflow_db", "presagio": "presagio"}
# The inference API reads and writes the tables that its replicas share, in the ledger's database.
API_ROLE, API_PASSWORD = "presagio_api", "PRESAGIO_API_DB_PASSWORD"
API_TABLES = "api\\_%"
# The console reads the ledger, adds to what people may add to, and keeps its sessions.
CONSOLE_ROLE, CONSOLE_PASSWORD = "presagio_console", "PRESAGIO_CONSOLE_DB_PASSWORD"
CONSOLE_TABLES = "console\\_%"
# What it may do with tables that are not its own, besides reading them.
CONSOLE_MAY = {
    "alarm_entries": "INSERT",
    "audit_log": "INSERT",
    "open_alarms": "DELETE",
    "promotions": "INSERT",
    "releases": "INSERT",
}
# Of accounts of the API: whether they are there, and since when they have their secret.
CONSOLE_READS_OF_ACCOUNTS = {
    "api_accounts": "kind, name, scopes, changed_at",
    "api_built_in_users": "name, changed_at",
}


def password_variables() -> dict[str, str]:
    """Return the variable that has the password of each database role, and of the superuser."""
    roles = {role: f"PRESAGIO_{role.upper()}_DB_PASSWORD" for role in DATABASES}
    return roles | {"presagio": "PRESAGIO_DB_PASSWORD", SUPERUSER: "PRESAGIO_POSTGRES_PASSWORD"}
