"""Print what the CHANGELOG says of a version: python3 deploy/release/notes.py v1.2.3."""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def notes(changelog: str, version: str) -> str:
    """Return the part of the changelog below a version's heading.

    Raises
    ------
    SystemExit
        If it has none, or nothing stands there.
    """
    heading = rf"^## \[?{re.escape(version)}\]?(?: .*)?$"
    parts = re.split(heading, changelog, maxsplit=1, flags=re.MULTILINE)
    body = re.split(r"^## ", parts[1], maxsplit=1, flags=re.MULTILINE)[0] if parts[1:] else ""
    if not body.strip():
        raise SystemExit(f"CHANGELOG.md says nothing of {version}: write it under '## {version}'")
    return body.strip() + "\n"


def main(argv: list[str]) -> None:
    """Print the notes of the version that is being released."""
    if len(argv) != 1 or not re.fullmatch(r"v?\d+\.\d+\.\d+", argv[0]):
        raise SystemExit("usage: python3 deploy/release/notes.py vX.Y.Z")
    version = argv[0].removeprefix("v")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if project["version"] != version:
        raise SystemExit(f"pyproject.toml has version {project['version']}, the tag {version}")
    sys.stdout.write(notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version))


if __name__ == "__main__":
    main(sys.argv[1:])
