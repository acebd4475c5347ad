"""Files of NAME=VALUE lines."""

from pathlib import Path


def read_env(path: Path) -> dict[str, str]:
    """Read the variables of a file that ``make env`` wrote."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")
