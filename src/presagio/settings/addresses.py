"""Settings of the services that Presagio asks: where each is, and who asks it."""

from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from presagio.settings.private import reveal


class AddressSettings(BaseSettings):
    """Addresses, accounts and time limits of S3, PostgreSQL, MLflow, the API and Airflow."""

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

    database_url: Annotated[
        SecretStr | None,
        Field(description="SQLAlchemy URL of the ledger's PostgreSQL database."),
    ] = None
    database_pooled: Annotated[
        bool,
        Field(
            description="Whether a pooler stands before that database and gives each transaction "
            "another connection, as PgBouncer does; no statement is prepared then."
        ),
    ] = False
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
    api_url: Annotated[str, Field(description="Address of the inference API.")] = (
        "http://127.0.0.1:8000"
    )
    console_url: Annotated[
        str, Field(description="Address of the console, for links in messages.")
    ] = "http://127.0.0.1:8050"
    mlflow_pages_url: Annotated[
        str,
        Field(
            description="Where browsers reach MLflow, for links on the console's pages to versions "
            "and runs; without it there are none.",
            pattern=r"^(https?://\S+)?$",
        ),
    ] = ""
    airflow_url: Annotated[str, Field(description="Address of Airflow's pages, for links.")] = (
        "http://127.0.0.1:8080"
    )
    airflow_user: Annotated[
        str,
        Field(
            description="Who asks Airflow for a run: `presagio score --engine airflow`, and the "
            "console for the first training of a fleet."
        ),
    ] = "admin"
    airflow_password: Annotated[
        SecretStr | None,
        Field(description="The password of that user; `PRESAGIO_AIRFLOW_ADMIN_PASSWORD` if empty."),
    ] = None
    airflow_admin_password: Annotated[
        SecretStr | None, Field(description="The password of Airflow's user `admin`.")
    ] = None
    airflow_console_role: Annotated[
        str | None,
        Field(
            description="Role of Airflow's accounts (FAB auth manager) that may start the DAG "
            "`train_champion` of each fleet and nothing else; empty: the DAG names none."
        ),
    ] = None

    @property
    def airflow_account(self) -> tuple[str, SecretStr] | None:
        """Who asks Airflow for runs, with the password; None where no password is set."""
        password = self.airflow_password or self.airflow_admin_password
        return (self.airflow_user, password) if password else None

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
