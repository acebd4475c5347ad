"""Secrets: files that only their owner can read, and the text of a setting that is secret."""

import os
from pathlib import Path

from pydantic import SecretStr

from presagio.errors import SettingsError


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 from its first byte on; readers see the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    scratch.replace(path)


def reveal(secret: SecretStr | None, variable: str) -> str:
    """Return a secret's text, or say which variable has to be set.

    Raises
    ------
    SettingsError
        If the secret is not set.
    """
    if secret is None:
        raise SettingsError(
            f"{variable} is not set; start the local stack (presagio up), or set it"
        )
    return secret.get_secret_value()
