"""Scores files of readings in bulk, when somebody asks for it.

When: triggered by hand or over Airflow's API, with the parameters ``source`` and ``to``.
What: ``presagio.jobs.score_batches``, the rows of ``presagio score``: the files are divided into
1,000 batches at most, a mapped task each. Where the machine spec has windows, what each file leaves
behind for later ones is found first. Files that cannot be read fail the run at its end; the others
are scored. One DAG a fleet.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Param, dag, task
from airflow.sdk.exceptions import AirflowFailException

from presagio.errors import DataError
from presagio.orchestration import tasks
from presagio.orchestration.queues import INTAKE, INTAKE_LIMIT
from presagio.settings import Settings

_ADDRESS = "^s3://[^/]+/.*"
_Batches = list[dict[str, Any]]


def _params(settings: Settings) -> dict[str, Param]:
    source, to = settings.place("to_score/"), settings.place("scores/")
    return {
        "source": Param(
            f"s3://{settings.s3_bucket}/{source}", type="string", pattern=_ADDRESS,
            title="Where the files are",
        ),
        "to": Param(
            f"s3://{settings.data_bucket}/{to}", type="string", pattern=_ADDRESS,
            title="Where results go",
        ),
        "version": Param(
            None, type=["null", "string"], title="Version that scores; the champion without"
        ),
        "resume": Param(default=True, type="boolean", title="Leave out what is done"),
    }  # fmt: skip


def make_dag(settings: Settings) -> Any:
    """Make the DAG of one fleet."""
    fleet = settings.fleet

    @dag(
        settings.named("bulk_score"),
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        params=_params(settings),
        default_args={
            "retries": 2,
            "retry_delay": timedelta(seconds=10),
            "execution_timeout": INTAKE_LIMIT,
            "queue": INTAKE,
        },
        doc_md=__doc__,
        tags=["presagio", "models"],
    )
    def bulk_score() -> None:
        """Plan batches, find what later files need, score, sum up."""

        @task
        def plan(params: dict[str, Any] | None = None, run_id: str | None = None) -> _Batches:
            try:
                return tasks.plan_scoring(params, run_id, fleet)
            except DataError as err:
                raise AirflowFailException(str(err)) from err

        @task
        def with_tails(
            batches: _Batches, params: dict[str, Any] | None = None, run_id: str | None = None
        ) -> _Batches:
            return tasks.with_tails(batches, params, run_id, fleet)

        @task
        def find_tails(
            batch: dict[str, Any], params: dict[str, Any] | None = None, run_id: str | None = None
        ) -> int:
            return tasks.find_tails(batch, params, run_id, fleet)

        # Without windows there are no tails to find.
        @task(trigger_rule="none_failed")
        def join_tails(
            batches: _Batches, params: dict[str, Any] | None = None, run_id: str | None = None
        ) -> _Batches:
            return tasks.join_tails(batches, params, run_id, fleet)

        @task(map_index_template="{{ task.op_kwargs['batch']['count'] }} files")
        def score(
            batch: dict[str, Any], params: dict[str, Any] | None = None, run_id: str | None = None
        ) -> dict[str, Any]:
            return tasks.score_batch(batch, params, run_id, fleet)

        @task
        def sum_up(
            batches: _Batches, params: dict[str, Any] | None = None, run_id: str | None = None
        ) -> dict[str, Any]:
            try:
                return tasks.sum_up_scoring(batches, params, run_id, fleet)
            except DataError as err:
                # Trying again would find the same files; somebody has to look at them.
                raise AirflowFailException(str(err)) from err

        # What is typed as a list is an XCom argument here.
        planned: Any = plan()
        found = find_tails.expand(batch=with_tails(planned))
        batches: Any = join_tails(planned)
        found >> batches
        score.expand(batch=batches) >> sum_up(batches)

    return bulk_score()


for one in tasks.fleets_with_dags():
    make_dag(one)
