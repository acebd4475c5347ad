"""A node of a Ray cluster is lost while it scores: no row is, and none comes twice.

Nodes are hosts of a network: namespaces. Nightly, since a cluster starts for minutes.
"""

import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.scoring.run import RESULT
from tests.extent import NIGHTLY
from tests.scoring.hosts import Host, open_network, why_not
from tests.scoring.nodes import Cluster, stop_at_work

pytestmark = [
    pytest.mark.skipif(not NIGHTLY, reason="three nodes of Ray start: nightly"),
    pytest.mark.timeout(900),
]
_log = logging.getLogger(__name__)
_FILES, _ROWS = 16, 300_000
_LIMIT_S = 30


@pytest.fixture(scope="module")
def cluster(spec: MachineSpec) -> Iterator[Cluster]:
    """A head, and files in the store."""
    if (why := why_not()) is not None:
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="ray-") as folder, open_network() as network:
        cluster = Cluster(network, Path(folder))
        rows = pl.concat(simulate(spec, _ROWS)).select(spec.input_names)
        for i in range(_FILES):
            order = rows.sample(fraction=1, shuffle=True, seed=i)
            order.write_parquet(cluster.readings / f"{i:02}.parquet")
        yield cluster


@pytest.fixture(scope="module")
def expected(cluster: Cluster, artifact: Path) -> Path:
    """What processes of one machine make of the files."""
    summary, _ = cluster.run(artifact, "local", local=True).result()
    assert (summary["files_scored"], summary["rows"]) == (_FILES, _FILES * _ROWS)
    return cluster.scores / "local"


def _kill(node: Host) -> None:
    node.kill()


def _cut_off(node: Host) -> None:
    """Nobody learns from a closed connection that it is gone."""
    node.draw_cable()
    node.kill()


@pytest.mark.parametrize("lose", [_kill, _cut_off])
def test_a_node_is_lost_and_every_row_is_there_once_half_a_minute_later_at_most(
    cluster: Cluster, artifact: Path, expected: Path, lose: Callable[[Host], None]
) -> None:
    node = cluster.join()
    quiet = f"quiet-{lose.__name__.strip('_')}"
    summary, undisturbed = cluster.run(artifact, quiet).result()
    assert summary["files_scored"] == _FILES

    disturbed = f"disturbed-{lose.__name__.strip('_')}"
    run = cluster.run(artifact, disturbed)
    run.wait_for_files(4)
    stop_at_work(node)
    lose(node)
    summary, took = run.result()
    _log.warning("%s: %.1f s, undisturbed %.1f s", lose.__name__, took, undisturbed)

    assert (summary["files_scored"], summary["faults"]) == (_FILES, {})
    assert summary["rows"] == summary["scored"] == _FILES * _ROWS
    for to in (quiet, disturbed):
        names = {path.name for path in (cluster.scores / to).glob("*.parquet")}
        assert names == {f"{i:02}.parquet{RESULT}" for i in range(_FILES)}
        for name in names:
            found = pl.read_parquet(cluster.scores / to / name)
            assert_frame_equal(found, pl.read_parquet(expected / name))
    assert took - undisturbed <= _LIMIT_S
