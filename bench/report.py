"""Write measured tables into ``docs/benchmarks.md``, each with the command that made it."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"


def machine() -> str:
    """Say what was measured on: date, commit, processor count, memory, Python."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    ).stdout.strip()  # fmt: skip
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit}, {os.cpu_count()} cores, "
        f"{memory:.0f} GiB of memory, {platform.system()}, Python {platform.python_version()}"
    )


def table(header: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    """Return a Markdown table."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def write(name: str, body: str) -> None:
    """Replace one benchmark's part of the page."""
    start, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(start)
    _, _, after = rest.partition(end)
    text = f"`make bench ARGS={name}`, {machine()}.\n\n{body}"
    PAGE.write_text(f"{before}{start}\n{text}\n{end}{after}", encoding="utf-8")
