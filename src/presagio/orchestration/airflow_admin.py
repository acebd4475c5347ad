"""Airflow's admin, where Airflow keeps accounts of its own (the FAB auth manager)."""

import os

from pydantic import SecretStr

from presagio.settings.private import reveal

_ROLE = "Admin"


def provision_admin(name: str, password: str) -> None:
    """Create the admin, or give it this password; Airflow's database has its tables already.

    Raises
    ------
    SystemExit
        If Airflow does not take it.
    """
    from airflow.providers.fab.auth_manager.cli_commands.utils import (  # noqa: PLC0415 - an extra
        get_application_builder,
    )

    with get_application_builder() as builder:
        manager = builder.sm
        found = manager.find_user(username=name)
        if found is not None:
            manager.reset_password(found.id, password)
            return
        made = manager.add_user(
            name, "Presagio", "Admin", f"{name}@localhost", manager.find_role(_ROLE), password
        )
        if not made:
            raise SystemExit(f"Airflow did not create its user {name}; its log says why")


if __name__ == "__main__":
    secret = os.environ.get("PRESAGIO_AIRFLOW_ADMIN_PASSWORD")
    provision_admin(
        "admin", reveal(SecretStr(secret) if secret else None, "PRESAGIO_AIRFLOW_ADMIN_PASSWORD")
    )
