"""Bulk scoring against the real store and registry: the command, and the tasks of the DAG."""

import io
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from presagio.cli.exit_status import ExitStatus
from presagio.errors import DataError
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.orchestration import tasks
from presagio.registry.writer import open_registry
from presagio.scoring.run import REJECTED, RESULT
from presagio.settings import Settings
from presagio.storage.objects import ObjectStore, open_store
from presagio.training.train import TrainedModel
from tests.champions import register_champion
from tests.cli.conftest import Cli, cli  # noqa: F401 - a fixture

pytestmark = pytest.mark.integration


@pytest.fixture
def store(plant: Settings, trained: TrainedModel, tmp_path: Path) -> ObjectStore:
    """The store of a plant with a champion."""
    register_champion(trained, open_registry(plant), tmp_path / "files")
    return open_store(plant)


def _readings(spec: MachineSpec, rows: int, seed: int) -> bytes:
    out = io.BytesIO()
    pl.concat(simulate(spec, rows, seed=seed)).select(spec.input_names).write_parquet(out)
    return out.getvalue()


def _result(store: ObjectStore, bucket: str, key: str) -> pl.DataFrame:
    found = store.read(bucket, key)
    assert found is not None
    return pl.read_parquet(found[0])


def test_a_prefix_is_scored_by_the_champion(
    plant: Settings,
    store: ObjectStore,
    spec: MachineSpec,
    cli: Cli,  # noqa: F811
) -> None:
    bucket = plant.s3_bucket
    for i in range(3):
        store.write(bucket, f"in/day={i}/a.parquet", _readings(spec, 100, i))
    command = ["score", f"s3://{bucket}/in", "--to", f"s3://{bucket}/out", "--workers", "1"]
    done = cli(*command, "--json", home=plant.home)
    assert done.status == ExitStatus.DONE, done.err
    assert (done.json["files_scored"], done.json["rows"], done.json["version"]) == (3, 300, "1")
    assert _result(store, bucket, f"out/day=0/a.parquet{RESULT}").height == 100
    # Once more, with a file that cannot be read among them, and another one changed.
    store.write(bucket, "in/broken.parquet", b"PAR1")
    store.write(bucket, "in/day=1/a.parquet", _readings(spec, 50, 9))
    done = cli(*command, "--resume", "--version", "1", home=plant.home)
    assert done.status == ExitStatus.FAILED
    assert "broken.parquet: " in done.err
    assert "4 files: 1 scored, 2 done before, 1 failed" in done.out
    assert _result(store, bucket, f"out/day=1/a.parquet{RESULT}").height == 50
    # One file alone; a version that nothing has.
    one = ["score", f"s3://{bucket}/in/day=2/a.parquet", "--to", f"s3://{bucket}/one"]
    assert cli(*one, "--workers", "1", home=plant.home).status == ExitStatus.DONE
    assert [stored.key for stored in store.list(bucket, "one/a")] == [f"one/a.parquet{RESULT}"]
    assert cli(*one, "--version", "99", home=plant.home).status == ExitStatus.NOT_FOUND
    assert cli(*one, "--ray-address", "x:1", home=plant.home).status == ExitStatus.USAGE
    assert "no file" in cli("score", f"s3://{bucket}/none", *one[2:], home=plant.home).err


def test_the_tasks_of_the_dag_make_the_same_rows(
    plant: Settings,
    store: ObjectStore,
    spec: MachineSpec,
    cli: Cli,  # noqa: F811
) -> None:
    bucket = plant.s3_bucket
    for i in range(3):
        store.write(bucket, f"in/{i}.parquet", _readings(spec, 40, i))
    params = {
        "source": f"s3://{bucket}/in/", "to": f"s3://{bucket}/out/", "version": None,
        "resume": False,
    }  # fmt: skip
    planned = tasks.plan_scoring(params, "run 1")
    assert tasks.with_tails(planned, params, "run 1") == []
    batches = tasks.join_tails(planned, params, "run 1")
    assert batches == planned == [{"first": i, "count": 1} for i in range(3)]
    # A task that is tried again, after it was done, changes nothing.
    for batch in [batches[0], *batches]:
        assert tasks.score_batch(batch, params, "run 1")["rows"] == 40
    summary = tasks.sum_up_scoring(batches, params, "run 1")
    assert (summary["files_scored"], summary["rows"], summary["version"]) == (3, 120, "1")
    to = f"s3://{bucket}/here"
    done = cli("score", params["source"], "--to", to, "--workers", "1", home=plant.home)
    assert done.status == ExitStatus.DONE, done.err
    for i in range(3):
        one, other = (
            _result(store, bucket, f"{place}/{i}.parquet{RESULT}") for place in ("out", "here")
        )
        assert_frame_equal(one, other)


def test_a_run_whose_file_cannot_be_read_fails_at_its_end(
    plant: Settings, store: ObjectStore, spec: MachineSpec
) -> None:
    bucket = plant.s3_bucket
    store.write(bucket, "in/a.parquet", _readings(spec, 40, 1))
    store.write(bucket, "in/b.csv", b"x\n1\n")
    params = {"source": f"s3://{bucket}/in/", "to": f"s3://{bucket}/out/"}
    planned = tasks.plan_scoring(params, "run 1")
    for batch in planned:
        tasks.score_batch(batch, params, "run 1")
    with pytest.raises(DataError, match=r"1 of 2 files failed: b\.csv"):
        tasks.sum_up_scoring(planned, params, "run 1")
    assert _result(store, bucket, f"out/a.parquet{RESULT}").height == 40
    assert store.head(bucket, f"out/a.parquet{REJECTED}") is None
    with pytest.raises(DataError, match="any host"):
        tasks.plan_scoring(params | {"source": str(plant.home)}, "run 1")
