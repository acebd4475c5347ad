"""Settings of a model's life: when it is trained, promoted, and watched."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings


class LifecycleSettings(BaseSettings):
    """Training, the promotion criterion, drift and alerts."""

    gate_confidence: Annotated[
        float,
        Field(description="Share of resamples in which a challenger must cost less.", ge=0.5, lt=1),
    ] = 0.9
    gate_worst_category: Annotated[
        float,
        Field(
            description="How much worse it may be for one machine type: missed failures a hundred "
            "readings.",
            ge=0,
        ),
    ] = 1.0
    train_min_new_rows: Annotated[
        int,
        Field(description="Labelled rows that must be new before the DAG trains again.", ge=0),
    ] = 10_000
    train_schedule: Annotated[
        str | None,
        Field(description="Cron expression (UTC) by which the DAG looks for new rows besides."),
    ] = None
    train_search: Annotated[
        Literal["full", "small"],
        Field(
            description="How many parameters a training tries; `small` is for tests: it gives a "
            "model in little time, not a good one."
        ),
    ] = "full"
    drift_schedule: Annotated[
        str, Field(description="Cron expression (UTC) by which the DAG looks for drift.")
    ] = "17 * * * *"
    drift_window_rows: Annotated[
        int, Field(description="Newest rows that are compared with the training data.", ge=100)
    ] = 5000
    drift_min_rows: Annotated[
        int, Field(description="With fewer rows drift is not looked for.", ge=50)
    ] = 500
    drift_psi: Annotated[
        float, Field(description="Population stability index from which on it is drift.", gt=0)
    ] = 0.2
    drift_p_value: Annotated[
        float,
        Field(
            description="How improbable it must be by chance, for all columns together.", gt=0, lt=1
        ),
    ] = 0.001
    drift_outside: Annotated[
        float,
        Field(description="Share of rows beyond all training data that is drift.", gt=0, le=1),
    ] = 0.2
    drift_min_effective_rows: Annotated[
        float,
        Field(
            description="With fewer independent readings of a column the verdict is `cannot tell`.",
            ge=2,
        ),
    ] = 20.0
    alert_webhook: Annotated[
        SecretStr | None,
        Field(description="Address that alerts are sent to as JSON, by POST; none: log only."),
    ] = None
    alert_repeat_h: Annotated[
        float, Field(description="Hours after which an alert that still holds is sent again.", gt=0)
    ] = 24.0
    unit_silent_h: Annotated[
        float,
        Field(description="Hours without a reading after which a unit has no data.", gt=0),
    ] = 48.0
    registry_poll_s: Annotated[
        float, Field(description="Seconds between looks at the champion alias.", gt=0)
    ] = 10.0
