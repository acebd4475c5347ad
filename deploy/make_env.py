"""Write .env for compose: every variable of .env.example, with new secrets where it has none.

Needs nothing but Python. What .env says already stays, so a later version's new secrets can be
added by running it again.
"""

import argparse
import base64
import os
import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def make_secret(name: str) -> str:
    """Make a secret of the form that its reader wants."""
    if name.endswith(("_FERNET_KEY", "_WEBHOOK_KEY")):
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    if name.endswith("_ACCESS_KEY"):
        return secrets.token_hex(10)
    # Safe in an URL, and in a shell.
    return secrets.token_urlsafe(48 if name.endswith("TOKEN_SECRET") else 24)


def variables(text: str) -> dict[str, str]:
    """Read NAME=VALUE lines."""
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {name.strip(): value.strip() for name, sign, value in pairs if sign}


def render(example: str, known: dict[str, str]) -> str:
    """Return the example's lines with the values that are known, and secrets for empty ones."""
    lines, left = [], dict(known)
    for line in example.splitlines():
        name, sign, value = line.partition("=")
        if line.startswith("#") or not sign:
            lines.append(line)
            continue
        lines.append(f"{name}={left.pop(name, '') or value or make_secret(name)}")
    lines[0:2] = ["# Made by `make env`. Secrets of this deployment: keep, and share with nobody."]
    return "\n".join([*lines, *(f"{name}={value}" for name, value in left.items())]) + "\n"


def main() -> None:
    """Write the file, readable by its owner only."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / ".env", help="default: .env")
    path = parser.parse_args().output
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    known = variables(before)
    text = render((ROOT / ".env.example").read_text(encoding="utf-8"), known)
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    scratch.replace(path)
    new = [name for name, value in variables(text).items() if known.get(name) != value]
    done = f"{len(new)} variables added" if known else "made, with new secrets"
    sys.stdout.write(f"{path}: {done if new else 'nothing was missing'}\n")


if __name__ == "__main__":
    main()
