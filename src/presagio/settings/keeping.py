"""Settings of what is kept: small files that are put together, and for how long things stay."""

from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings


class KeepingSettings(BaseSettings):
    """Compaction and retention."""

    compact_schedule: Annotated[
        str, Field(description="Cron expression (UTC) by which the DAG puts small files together.")
    ] = "47 2 * * *"
    compact_after_h: Annotated[
        float, Field(description="Hours after which a filed object may be put together.", ge=0)
    ] = 1.0
    compact_min_files: Annotated[
        int, Field(description="With fewer small files nothing is put together.", ge=2)
    ] = 100
    compact_bytes: Annotated[
        int,
        Field(
            description="Bytes in memory of the rows that are put together at a time; what is "
            "larger than an eighth of that is no small file.",
            ge=1 << 16, le=1 << 32,
        ),
    ] = 128 << 20  # fmt: skip
    compact_keep_originals_h: Annotated[
        float,
        Field(description="Hours that small files stay after they were put together.", ge=0),
    ] = 24.0
    retention_schedule: Annotated[
        str, Field(description="Cron expression (UTC) by which the DAG removes what is old.")
    ] = "23 3 * * *"
    retain_archive_days: Annotated[
        int | None,
        Field(
            description="Days that original files stay in the archive; none: for ever. Those that "
            "a model in use was trained on stay longer.",
            ge=1,
        ),
    ] = None
    retain_receipts_days: Annotated[
        int | None,
        Field(
            description="Days that receipts stay of which no row counts, duplicates and files that "
            "were refused whole; none: for ever.",
            ge=1,
        ),
    ] = None
    retain_predictions_days: Annotated[
        int | None, Field(description="Days that recorded answers stay; none: for ever.", ge=1)
    ] = None
    retain_scores_days: Annotated[
        int | None,
        Field(
            description="Days that scores of filed readings stay; none: for ever. Those of a file "
            "that an open alarm stands on stay longer.",
            ge=1,
        ),
    ] = None
    retain_reports_days: Annotated[
        int | None, Field(description="Days that pages on drift stay; none: for ever.", ge=1)
    ] = None
    retain_airflow_days: Annotated[
        int | None,
        Field(
            description="Days that runs, tasks and logs stay in Airflow's database; none: for "
            "ever. Needs PRESAGIO_AIRFLOW_DATABASE_URL.",
            ge=1,
        ),
    ] = None
    retain_mlflow_days: Annotated[
        int | None,
        Field(
            description="Days after which a run that somebody has deleted in MLflow is gone for "
            "good, with its files; none: never. Needs PRESAGIO_MLFLOW_DATABASE_URL.",
            ge=1,
        ),
    ] = None
    airflow_database_url: Annotated[
        SecretStr | None,
        Field(
            description="SQLAlchemy URL of Airflow's database, for who cleans it and nobody else."
        ),
    ] = None
    mlflow_database_url: Annotated[
        SecretStr | None,
        Field(
            description="SQLAlchemy URL of MLflow's database, for who cleans it and nobody else."
        ),
    ] = None
