"""One typed settings object: read once at an entry point, handed down from there."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import SettingsConfigDict

from presagio.errors import SettingsError
from presagio.settings.faults import describe_faults
from presagio.settings.serving import ServingSettings

CREDENTIALS_FILE = "credentials.env"
ADDRESSES_FILE = "stack.env"
_REPOSITORY = Path(__file__).parents[3]


class Prefixes(BaseModel):
    """Where the intake reads and writes: one bucket for files, one for the curated data set."""

    model_config = ConfigDict(frozen=True)

    bucket: str = "csv-data"
    incoming: str = "incoming/"
    processed: str = "processed/"
    quarantine: str = "quarantine/"
    archive: str = "archive/"
    curated_bucket: str = "data"
    curated: str = "curated/"


class Settings(ServingSettings):
    """Everything that can be configured; each field is the variable ``PRESAGIO_<FIELD>``.

    The environment comes first, then what ``presagio up`` wrote into the home folder: generated
    secrets (``credentials.env``, mode 0600) and the addresses of the stack (``stack.env``).
    """

    model_config = SettingsConfigDict(
        # Lists are decoded by a validator, so that all faults are found and not the first one.
        env_prefix="PRESAGIO_", frozen=True, extra="ignore", enable_decoding=False,
    )  # fmt: skip

    home: Annotated[Path, Field(description="Folder of the local stack: data, logs, secrets.")]
    machine_spec: Annotated[
        str, Field(description="Name of a machine spec that ships with Presagio, or a TOML file.")
    ] = "ai4i2020"
    ai4i_csv: Annotated[
        Path | None, Field(description="A CSV file of labelled readings to train on.")
    ] = None

    ai4i_sha256: Annotated[
        str | None,
        Field(
            description="SHA-256 that `presagio data fetch` must find; else the first one found.",
            pattern="^[0-9a-f]{64}$",
        ),
    ] = None

    s3_endpoint: Annotated[
        str | None, Field(description="Address of the S3 server; AWS's own when not set.")
    ] = None
    s3_region: Annotated[str, Field(description="Region that requests are signed for.")] = (
        "us-east-1"
    )
    s3_access_key: Annotated[
        SecretStr | None, Field(description="S3 access key; empty: boto3's own search for one.")
    ] = None
    s3_secret_key: Annotated[SecretStr | None, Field(description="S3 secret key.")] = None
    s3_timeout_s: Annotated[
        float, Field(description="Seconds that the S3 server may take to answer.", gt=0)
    ] = 60.0
    s3_etag_is_md5: Annotated[
        bool,
        Field(
            description="Whether plain ETags are MD5 sums, with which downloads are compared; they "
            "are in AWS S3, SeaweedFS, MinIO and rclone."
        ),
    ] = True
    s3_bucket: Annotated[str, Field(description="Bucket that CSV files land in.")] = "csv-data"
    data_bucket: Annotated[str, Field(description="Bucket of the curated data set.")] = "data"

    max_columns: Annotated[
        int, Field(description="Most columns of a table, and most keys of a JSON reading.", ge=16)
    ] = 4096
    max_name_length: Annotated[
        int, Field(description="Most characters of a column's name.", ge=32)
    ] = 512
    max_line_bytes: Annotated[
        int, Field(description="Longest line of NDJSON, in bytes.", ge=1024, le=1 << 26)
    ] = 1 << 20
    max_cell_bytes: Annotated[
        int, Field(description="Longest cell of a Parquet file, in bytes.", ge=256, le=1 << 24)
    ] = 1 << 16
    reader_memory_bytes: Annotated[
        int,
        Field(
            description="Address space that the process which reads files may take for one.",
            ge=1 << 26,
        ),
    ] = 1 << 30
    reader_seconds: Annotated[
        float, Field(description="Seconds that the next part of a file may take to read.", gt=0)
    ] = 30.0
    readers: Annotated[
        int, Field(description="Files that a process reads at a time.", ge=1, le=16)
    ] = 2
    intake_max_bad_share: Annotated[
        float,
        Field(description="A file with a larger share of bad rows is refused whole.", ge=0, le=1),
    ] = 0.2
    intake_sheet: Annotated[
        str | None, Field(description="Sheet of a workbook that is read; none: the first one.")
    ] = None
    intake_max_bytes: Annotated[
        int, Field(description="Bytes that a compressed file may unpack to.", gt=0)
    ] = 8 << 30
    intake_max_ratio: Annotated[
        float, Field(description="Bytes that each packed byte may unpack to.", ge=1)
    ] = 200.0

    database_url: Annotated[
        SecretStr | None,
        Field(description="SQLAlchemy URL of the ledger's PostgreSQL database."),
    ] = None
    mlflow_url: Annotated[str, Field(description="Address of the MLflow server.")] = (
        "http://127.0.0.1:5000"
    )
    mlflow_timeout_s: Annotated[
        int,
        Field(description="Seconds that one request to MLflow may take, from first to last.", gt=0),
    ] = 5
    mlflow_download_s: Annotated[
        float, Field(description="Seconds that the download of a model may take.", gt=0)
    ] = 120.0
    mlflow_download_bytes: Annotated[
        int, Field(description="Bytes that a model in MLflow may have.", ge=1024)
    ] = 1 << 30
    mlflow_username: Annotated[
        str | None, Field(description="Who asks MLflow, where it wants to know; none: nobody.")
    ] = None
    mlflow_password: Annotated[
        SecretStr | None, Field(description="The password of that MLflow user.")
    ] = None
    experiment: Annotated[str, Field(description="MLflow experiment that runs are logged to.")] = (
        "machine_failure_prediction_svc"
    )
    model_name: Annotated[str, Field(description="Name of the registered model.")] = "svm_prod"
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
    api_url: Annotated[str, Field(description="Address of the inference API.")] = (
        "http://127.0.0.1:8000"
    )
    airflow_url: Annotated[str, Field(description="Address of Airflow's pages, for links.")] = (
        "http://127.0.0.1:8080"
    )
    registry_poll_s: Annotated[
        float, Field(description="Seconds between looks at the champion alias.", gt=0)
    ] = 10.0
    dags_folder: Annotated[
        Path, Field(description="Folder with the Airflow DAG files; the repository's by default.")
    ] = _REPOSITORY / "airflow" / "dags"
    watch_poll_s: Annotated[
        float, Field(description="Seconds between looks at the incoming prefix.", gt=0)
    ] = 1.0

    @property
    def mlflow_account(self) -> tuple[str, str] | None:
        """Who asks MLflow, with the password.

        Raises
        ------
        SettingsError
            If there is a name and no password.
        """
        if self.mlflow_username is None:
            return None
        return self.mlflow_username, reveal(self.mlflow_password, "PRESAGIO_MLFLOW_PASSWORD")

    @property
    def prefixes(self) -> Prefixes:
        """Where the intake reads and writes by default."""
        return Prefixes(bucket=self.s3_bucket, curated_bucket=self.data_bucket)

    @property
    def data_folder(self) -> Path:
        """Where fetched and generated data sets are kept."""
        return self.home / "data"

    @property
    def model_cache(self) -> Path:
        """Where artifacts fetched from the registry are kept."""
        return self.home / "models"

    @property
    def accounts_file(self) -> Path:
        """Who besides the built-in accounts may ask the API, with hashes of their secrets."""
        return self.home / "accounts.json"


def find_home(start: Path | None = None) -> Path:
    """Find the home folder: ``PRESAGIO_HOME``, else the nearest ``.presagio`` upwards.

    Where there is none yet it is ``.presagio`` beside the nearest ``pyproject.toml`` or, failing
    that, in the folder itself.
    """
    if named := os.environ.get("PRESAGIO_HOME"):
        return Path(named).expanduser().resolve()
    here = (start or Path.cwd()).resolve()
    for mark in (".presagio", "pyproject.toml"):
        for folder in (here, *here.parents):
            if (folder / mark).exists():
                return folder / ".presagio"
    return here / ".presagio"


def load_settings(home: Path | None = None) -> Settings:
    """Read the settings from the environment and from the home folder.

    Parameters
    ----------
    home
        The home folder; found by :func:`find_home` when not given.

    Returns
    -------
    Settings
        The immutable settings.

    Raises
    ------
    SettingsError
        If values cannot be used; the message names each variable, what it takes and what came, of
        a secret its length only.
    """
    folder = (home.expanduser().resolve() if home else None) or find_home()
    files = (folder / CREDENTIALS_FILE, folder / ADDRESSES_FILE)
    try:
        return Settings(
            home=folder,
            _env_file=files,
            _env_file_encoding="utf-8",
            _env_ignore_empty=True,
        )
    except ValidationError as err:
        faults = "".join(f"\n  {fault}" for fault in describe_faults(err, Settings, files))
        raise SettingsError(f"settings cannot be used:{faults}") from None


def reveal(secret: SecretStr | None, variable: str) -> str:
    """Return a secret's text, or say which variable has to be set.

    Raises
    ------
    SettingsError
        If the secret is not set.
    """
    if secret is None:
        raise SettingsError(
            f"{variable} is not set; start the local stack (presagio up), or set it"
        )
    return secret.get_secret_value()
