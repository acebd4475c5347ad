"""Every benchmark runs, at a size at which it measures next to nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bench.report import ROOT, placed
from bench.servers import Server, ServerError, running
from bench.sizes import Size

from presagio.stack.ports import free_port
from tests.extent import NIGHTLY

_SHORT = ("cleaning",)
# These train, start services or the whole stack first, or wait.
_LONG = (
    "serving", "files", "training", "wide", "models",
    "attack", "swapping", "intake", "ledger", "compaction", "recovery", "stack", "arriving",
    "watching", "fleets", "scoring", "many_models", "console",
)  # fmt: skip


def _bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--smoke", *arguments], cwd=ROOT, env=os.environ,
        capture_output=True, text=True, timeout=280 if not NIGHTLY else 3600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done


@pytest.mark.integration
@pytest.mark.slow
# Several in one process: to import what they measure takes longer than they do.
@pytest.mark.parametrize("names", [_SHORT, *((name,) for name in _LONG if NIGHTLY)], ids="-".join)
def test_benchmarks_run_and_a_smoke_test_writes_nothing(names: tuple[str, ...]) -> None:
    if {*names} & {"serving", "swapping", "files"} and shutil.which("wrk") is None:
        pytest.skip("wrk is not installed")
    page = (ROOT / "docs" / "benchmarks.md").read_bytes()
    output = _bench(*names).stdout
    for name in names:
        assert f'`make bench ARGS="{name} --smoke"`' in output
    assert (ROOT / "docs" / "benchmarks.md").read_bytes() == page


def test_a_name_that_is_no_benchmark_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "servin"], cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "serving" in done.stderr


def test_a_server_that_does_not_start_keeps_its_log_and_shows_its_end() -> None:
    program = "import sys; print('the port is mine'); sys.exit(3)"
    server = Server("one that ends", [sys.executable, "-c", program], free_port())
    with pytest.raises(ServerError) as refused, running(server):
        pass
    text = str(refused.value)
    assert "one that ends ended with status 3" in text
    assert "the port is mine" in text
    log = Path(text.split("its log, ")[1].split(", ends:", maxsplit=1)[0])
    assert log.read_text().startswith("the port is mine")
    log.unlink()


def test_a_part_of_the_page_is_replaced_and_no_other() -> None:
    page = (
        "a\n<!-- bench:one -->\nold\n<!-- /bench:one -->\nb\n"
        "<!-- bench:two -->\n<!-- /bench:two -->\n"
    )
    after = placed(page, "one", "new")
    assert after == page.replace("old", "new")


def test_a_new_part_goes_behind_another() -> None:
    page = "a\n<!-- bench:one -->\nold\n<!-- /bench:one -->\nb\n"
    after = placed(page, "more", "new", after="one")
    assert "<!-- /bench:one -->\n\n<!-- bench:more -->\nnew\n<!-- /bench:more -->\nb\n" in after
    with pytest.raises(ValueError, match="bench:more"):
        placed(page, "more", "new", after="none")


def test_sizes_pick_what_belongs_to_them() -> None:
    assert [size.pick(1, 2, 3) for size in Size] == [1, 2, 3]
