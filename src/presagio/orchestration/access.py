"""What the console may do in Airflow, where accounts have roles (the FAB auth manager)."""

from collections.abc import Collection

from presagio.settings import Settings


def console_access(settings: Settings) -> dict[str, dict[str, Collection[str]]] | None:
    """Return what a DAG that the console starts lets its role do; None where there is no such role.

    Start runs, and see how they are: for Airflow whoever starts a run of a DAG edits the DAG.
    """
    if not settings.airflow_console_role:
        return None
    return {
        settings.airflow_console_role: {
            "DAGs": {"can_read", "can_edit"},
            "DAG Runs": {"can_read", "can_create"},
        }
    }
