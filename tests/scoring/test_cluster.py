"""Bulk scoring by Ray: the rows of one machine's processes, and a control store that is closed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import psutil
import pytest
from polars.testing import assert_frame_equal

from presagio.errors import SettingsError
from presagio.inference.predictor import load_predictor
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.scoring.cluster import RayEngine, opened_cluster
from presagio.scoring.run import RESULT
from presagio.settings import Settings
from tests.extent import NIGHTLY
from tests.scoring.harm import careful, lost
from tests.scoring.runs import score_folder

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def cluster(home: Settings) -> Iterator[RayEngine]:
    with opened_cluster(home, None, 2) as engine:
        yield engine


def test_the_rows_are_those_of_one_process(
    cluster: RayEngine, artifact: Path, spec: MachineSpec, home: Settings, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    for i in range(3):
        rows = pl.concat(simulate(spec, 500, seed=i)).select(spec.input_names)
        rows.write_parquet(tmp_path / "in" / f"{i}.parquet")
    predictor = load_predictor(artifact)
    score_folder(predictor, tmp_path / "in", tmp_path / "here", home)
    found = score_folder(predictor, tmp_path / "in", tmp_path / "ray", home, engine=cluster)
    assert (found.files_scored, found.counts.rows, found.faults) == (3, 1500, {})
    for i in range(3):
        one, other = (
            pl.read_parquet(tmp_path / place / f"{i}.parquet{RESULT}") for place in ("here", "ray")
        )
        assert_frame_equal(one, other, abs_tol=1e-9)


@pytest.mark.skipif(not NIGHTLY, reason="Ray starts a process anew four times: nightly")
def test_a_task_that_ends_its_worker_is_lost_and_no_other(cluster: RayEngine) -> None:
    found = sorted(cluster.run(careful, enumerate(["ok", "die", "ok", "threads"]), lost))
    assert [number for number, *_ in found] == [0, 1, 2, 3]
    assert "has ended 4 times" in found[1][1]
    assert found[3][1] == "1"


def test_it_listens_on_loopback_and_takes_nobody_without_its_token(cluster: RayEngine) -> None:
    import ray

    assert isinstance(cluster, RayEngine)
    address = ray.get_runtime_context().gcs_address
    started = {each.pid for each in (psutil.Process(), *psutil.Process().children(recursive=True))}
    # Of all processes at once: one of these may end while they are asked one by one.
    listening = {
        each.laddr.ip
        for each in psutil.net_connections("inet")
        if each.pid in started and each.laddr and each.status == psutil.CONN_LISTEN
    }
    assert "127.0.0.1" in listening
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    assert address.startswith("127.0.0.1:")
    # The control store answers who has the token, and refuses who has none or another one.
    own = {name: value for name, value in os.environ.items() if name.startswith("RAY_AUTH")}
    wrong = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "b" * 64}
    friend, *strangers = (_keys(address, more) for more in (own, {}, wrong))
    assert friend.returncode == 0, friend.stderr
    assert int(friend.stdout) > 0
    for stranger in strangers:
        assert stranger.returncode != 0
        assert stranger.stdout == ""
        assert "token" in stranger.stderr


def _keys(address: str, secrets: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Ask the control store, from a process with some secrets, how many keys it has."""
    code = (
        "from ray._raylet import GcsClient; "
        f"print(len(GcsClient(address={address!r}).internal_kv_keys(b'', None, timeout=30)))"
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.run(
        [sys.executable, "-c", code], env=env | secrets, check=False, capture_output=True,
        text=True, timeout=120,
    )  # fmt: skip


def test_a_cluster_of_others_needs_a_token(
    home: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    with (
        pytest.raises(SettingsError, match="RAY_AUTH_TOKEN"),
        opened_cluster(home, "127.0.0.1:9", None),
    ):
        pass
