"""What Airflow is told to run its tasks on Celery workers; knows no other part of Airflow.

The scheduler, the API server and each worker are told the same, on whichever host they are.
"""

import json
from urllib.parse import urlsplit

from presagio.errors import SettingsError
from presagio.orchestration.queues import INTAKE, VISIBILITY_TIMEOUT_S
from presagio.settings import Settings
from presagio.settings.private import reveal

# Airflow's connection to the store of its logs, and where they are in the data bucket.
_CONNECTION = "presagio_logs"
_LOGS = "airflow-logs"
_QUEUED_S = 60


def _result_url(broker: str) -> str:
    """Return where results are: beside the messages, so that a worker needs no database."""
    parts = urlsplit(broker)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname or not parts.password:
        raise SettingsError(
            "PRESAGIO_BROKER_URL is not of the form redis://USER:PASSWORD@HOST:PORT/0; a broker "
            "without a password is not used"
        )
    return parts._replace(path="/1").geturl()


def _log_connection(settings: Settings) -> str:
    extra: dict[str, object] = {"region_name": settings.s3_region}
    if settings.s3_endpoint:
        extra["endpoint_url"] = settings.s3_endpoint
        extra["config_kwargs"] = {"s3": {"addressing_style": "path"}}
    value: dict[str, object] = {"conn_type": "aws", "extra": extra}
    if settings.s3_access_key and settings.s3_secret_key:
        value["login"] = settings.s3_access_key.get_secret_value()
        value["password"] = settings.s3_secret_key.get_secret_value()
    return json.dumps(value)


def remote_log_env(settings: Settings) -> dict[str, str]:
    """Return variables by which logs of tasks go to the data bucket, and are read from there."""
    return {
        "AIRFLOW__LOGGING__REMOTE_LOGGING": "True",
        "AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID": _CONNECTION,
        "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": f"s3://{settings.data_bucket}/{_LOGS}",
        f"AIRFLOW_CONN_{_CONNECTION.upper()}": _log_connection(settings),
        # The log of a try whose worker was killed lies beside those of later tries; it stays.
        "AIRFLOW__LOGGING__DELETE_LOCAL_LOGS": "False",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
    }


def celery_env(settings: Settings) -> dict[str, str]:
    """Return variables by which Airflow sends its tasks to Celery workers.

    Raises
    ------
    SettingsError
        If ``PRESAGIO_BROKER_URL`` is not set, or names no password.
    """
    broker = reveal(settings.broker_url, "PRESAGIO_BROKER_URL")
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CELERY__BROKER_URL": broker,
        "AIRFLOW__CELERY__RESULT_BACKEND": _result_url(broker),
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": str(VISIBILITY_TIMEOUT_S),
        # A message is the broker's until its task has ended: what a worker has taken and not begun
        # when it is stopped goes back to the queue.
        "AIRFLOW__CELERY__TASK_ACKS_LATE": "True",
        # No worker holds messages that another one could run.
        "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
        "AIRFLOW__OPERATORS__DEFAULT_QUEUE": INTAKE,
    } | remote_log_env(settings)


def scheduler_env() -> dict[str, str]:
    """Return variables by which the scheduler finds out soon that a worker is gone.

    A task that had begun misses its heartbeats, of which there is one every 5 s (after three that
    the API server did not take, it ends itself); one that a worker had taken and not begun stays
    queued. No more tasks are sent than there are slots. One that waits all the same (a worker is
    gone, or no training runs and the intake has one more task) is sent again and again, for longer
    than those before it may run.
    """
    return {
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "40",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": str(_QUEUED_S),
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "15",
        "AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": str(VISIBILITY_TIMEOUT_S // _QUEUED_S),
    }
