"""Settings of tasks that run on Celery workers, on one host or on several."""

from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings


class WorkerSettings(BaseSettings):
    """The broker, what a worker runs, and where its logs go."""

    broker_url: Annotated[
        SecretStr | None,
        Field(
            description="URL of the broker that Celery workers take tasks from: "
            "redis://USER:PASSWORD@HOST:PORT/0."
        ),
    ] = None
    worker_slots: Annotated[
        int,
        Field(
            description="Tasks that a worker of the queue `intake` runs at a time; one of `train` "
            "runs one.",
            ge=1,
            le=64,
        ),
    ] = 2
    train_pool: Annotated[
        str,
        Field(
            description="Airflow pool that a training takes a slot of; it has to exist. "
            "`presagio up --workers` makes one with one slot.",
            min_length=1,
        ),
    ] = "default_pool"
    airflow_api_secret: Annotated[
        SecretStr | None,
        Field(
            description="What signs requests for the logs of tasks that run: `[api] secret_key` of "
            "Airflow, the same on each host. A worker that serves its logs needs it."
        ),
    ] = None
