"""Files scored in bulk by the DAG, and the DAGs that look after what is stored."""

import json
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from polars.testing import assert_frame_equal

from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from tests.e2e.stack import Stack


# The tasks of the DAG are tested without Airflow in tests/jobs, too.
@pytest.mark.nightly
def test_airflow_scores_the_rows_of_this_machines_processes(
    stack: Stack, spec: MachineSpec, tmp_path: Path
) -> None:
    settings, store = stack.settings, stack.intake.store
    source, results = f"s3://{settings.s3_bucket}/to_score/", "scores/by-airflow/"
    for number in range(3):
        file = tmp_path / f"{number}.parquet"
        pl.concat(simulate(spec, 200, seed=number)).write_parquet(file)
        store.upload(settings.s3_bucket, f"to_score/{file.name}", file)
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"no Parquet")
    store.upload(settings.s3_bucket, f"to_score/{bad.name}", bad)
    place = f"s3://{settings.data_bucket}/{results}"
    done = stack.call("score", source, "--to", place, "--engine", "airflow", "--json")
    # One file cannot be read, and is named; the others are scored.
    assert done.returncode == 1, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["files"], summary["files_scored"], summary["rows"]) == (4, 3, 600)
    assert [*summary["faults"]] == ["bad.parquet"]
    here = stack.call("score", source, "--to", str(tmp_path / "here"), "--json")
    assert here.returncode == 1, here.stderr
    for number in range(3):
        name = f"{number}.parquet.scored.parquet"
        found = store.read(settings.data_bucket, f"{results}{name}")
        assert found is not None
        assert_frame_equal(pl.read_parquet(found[0]), pl.read_parquet(tmp_path / "here" / name))


@pytest.mark.containers
@pytest.mark.nightly
def test_the_dags_that_look_after_what_is_stored_run(stack: Stack) -> None:
    stack.succeed("compact", "retention", limit_s=120)


@pytest.mark.local
def test_the_dags_that_look_after_what_is_stored_clean_what_airflow_keeps_from_its_tasks(
    stack: Stack,
) -> None:
    database = stack.settings.airflow_database_url
    assert database is not None
    engine = sa.create_engine(database.get_secret_value())
    with engine.begin() as connection:
        days = "SELECT now() - i * interval '20 days', 'test' FROM generate_series(0, 3) AS i"
        connection.execute(sa.text(f"INSERT INTO log (dttm, event) {days}"))
    runs = stack.succeed("compact", "retention", limit_s=120)
    states = stack.task_states("retention", runs["retention"])
    assert states == {"remove": "success", "clean_databases": "success"}
    with engine.connect() as connection:
        count = sa.text("SELECT count(*) FROM log WHERE event = 'test'")
        assert connection.scalar(count) == 2
    engine.dispose()
