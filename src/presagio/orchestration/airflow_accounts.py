"""Airflow's accounts, where it keeps some of its own (the FAB auth manager); can be repeated."""

import os
from typing import Any

from pydantic import SecretStr

from presagio.settings import load_settings
from presagio.settings.private import reveal

ADMIN, CONSOLE = "admin", "console"


def provision_accounts(passwords: dict[str, str | None], console_role: str | None) -> None:
    """Create the accounts, or give them these passwords; Airflow's database has its tables already.

    Parameters
    ----------
    passwords
        Of ``admin``, who may do everything, and ``console``; None for no such account.
    console_role
        The only role of ``console``; None for none. It has no right by itself: DAGs say what it
        may do with them (:func:`presagio.orchestration.access.console_access`).

    Raises
    ------
    SystemExit
        If Airflow does not take one.
    """
    from airflow.providers.fab.auth_manager.cli_commands.utils import (  # noqa: PLC0415 - an extra
        get_application_builder,
    )

    with get_application_builder() as builder:
        manager = builder.sm
        roles = {ADMIN: manager.find_role("Admin")}
        if console_role:
            # A DAG that names a role which is not there would not be taken.
            roles[CONSOLE] = manager.add_role(console_role)
        for name, role in roles.items():
            if password := passwords.get(name):
                _provision(manager, name, password, role)


def _provision(manager: Any, name: str, password: str, role: Any) -> None:
    found = manager.find_user(username=name)
    if found is not None:
        manager.reset_password(found.id, password)
    elif not manager.add_user(name, "Presagio", name.title(), f"{name}@localhost", role, password):
        raise SystemExit(f"Airflow did not create its user {name}; its log says why")


if __name__ == "__main__":
    secret = os.environ.get("PRESAGIO_AIRFLOW_ADMIN_PASSWORD")
    provision_accounts(
        {
            ADMIN: reveal(SecretStr(secret) if secret else None, "PRESAGIO_AIRFLOW_ADMIN_PASSWORD"),
            CONSOLE: os.environ.get("PRESAGIO_AIRFLOW_CONSOLE_PASSWORD"),
        },
        load_settings().airflow_console_role,
    )
