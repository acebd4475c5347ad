"""Write measured tables into ``docs/benchmarks.md``, each with the command that made it."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from bench.sizes import Size

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


def placed(page: str, name: str, text: str, after: str | None = None) -> str:
    """Return the page with one benchmark's part replaced.

    Parameters
    ----------
    page
        The page.
    name
        Of the part, which stands between two comments.
    text
        What is to stand there.
    after
        The part behind which a new one goes.

    Raises
    ------
    ValueError
        If the page has neither part.
    """
    start, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    if start not in page:
        before, anchor, rest = page.partition(f"<!-- /bench:{after} -->")
        if not anchor:
            raise ValueError(f"{PAGE.name} has no part {start} and none to put it behind")
        page = f"{before}{anchor}\n\n{start}\n{end}{rest}"
    before, _, rest = page.partition(start)
    _, _, behind = rest.partition(end)
    return f"{before}{start}\n{text}\n{end}{behind}"


def write(
    name: str, body: str, size: Size, *, part: str | None = None, after: str | None = None
) -> None:
    """Replace a benchmark's part of the page; what was not measured in earnest is only printed.

    Parameters
    ----------
    name
        Of the benchmark.
    body
        What it found.
    size
        How much it measured.
    part, after
        The part's name where it is another than the benchmark's, and the part behind which a new
        one goes.
    """
    arguments = name if size is Size.FULL else f'"{name} --{size}"'
    text = f"`make bench ARGS={arguments}`, {machine()}.\n\n{body}"
    if size is Size.SMOKE:
        print(text)
        return
    PAGE.write_text(
        placed(PAGE.read_text(encoding="utf-8"), part or name, text, after), encoding="utf-8"
    )
