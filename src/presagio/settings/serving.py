"""Settings of the inference API; those of the whole system come after them."""

import contextlib
import json
from typing import Annotated, Any, Literal, get_origin

from pydantic import Field, IPvAnyNetwork, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings


class ServingSettings(BaseSettings):
    """What the inference API asks for, takes, and refuses."""

    @field_validator("*", mode="before")
    @classmethod
    def _decode_list(cls, value: Any, info: ValidationInfo) -> Any:
        """Decode a JSON list; what is none is refused as any other value is."""
        field = cls.model_fields[info.field_name or ""]
        if isinstance(value, str) and get_origin(field.annotation) is tuple:
            with contextlib.suppress(ValueError):
                return json.loads(value)
        return value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split_networks(cls, value: Any) -> Any:
        """Take a list with commas, as people write it, besides a JSON list."""
        if isinstance(value, str) and not value.lstrip().startswith("["):
            return tuple(network.strip() for network in value.split(",") if network.strip())
        return value

    auth: Annotated[
        Literal["on", "off"],
        Field(description="`off`: everybody may ask everything; the log and health say so."),
    ] = "on"
    token_secret: Annotated[
        SecretStr | None,
        Field(
            description="Key that the API signs tokens with, 32 characters or more.", min_length=32
        ),
    ] = None
    token_secret_previous: Annotated[
        SecretStr | None,
        Field(description="The key before it; its tokens hold until they expire.", min_length=32),
    ] = None
    token_minutes: Annotated[
        float, Field(description="Minutes that a token holds.", gt=0, le=1440)
    ] = 60.0
    token_attempts: Annotated[
        int,
        Field(
            description="Wrong passwords a minute from one address, or for one account from an "
            "address where it has given the right one before.",
            ge=1,
        ),
    ] = 10
    token_account_attempts: Annotated[
        int,
        Field(
            description="Wrong passwords a minute for one account from all other addresses; with "
            "more, an address is heard only while it has given none.",
            ge=1,
        ),
    ] = 100
    admin_password: Annotated[
        SecretStr | None, Field(description="Password of the API's user `admin`: every scope.")
    ] = None
    client_id: Annotated[
        str, Field(description="Name of the client that commands and DAGs ask the API as.")
    ] = "presagio"
    client_secret: Annotated[
        SecretStr | None, Field(description="Its secret; it has every scope too.")
    ] = None
    metrics_secret: Annotated[
        SecretStr | None,
        Field(description="Secret of the API's client `prometheus`, which may read metrics only."),
    ] = None
    oidc_issuer: Annotated[
        str | None,
        Field(description="An outside issuer whose tokens are taken, by OIDC discovery."),
    ] = None
    oidc_audience: Annotated[
        str, Field(description="Audience that an outside issuer's tokens must name.")
    ] = "presagio"

    api_database_url: Annotated[
        SecretStr | None,
        Field(
            description="PostgreSQL database that replicas of the API share: who serves what, "
            "accounts, wrong passwords, what was taken; empty: one replica, which keeps them for "
            "itself."
        ),
    ] = None
    replica: Annotated[
        str,
        Field(
            description="Name of this replica of the API, in answers, metrics and logs; the host's "
            "name and the port by default, where there are several.",
            pattern="^[A-Za-z0-9._:-]{0,128}$",
        ),
    ] = ""
    api_drain_seconds: Annotated[
        float,
        Field(
            description="Seconds that a replica which is told to stop goes on answering, and says "
            "that it is not ready, so that a balancer sends it nothing more.",
            ge=0,
            le=300,
        ),
    ] = 0.0
    api_workers: Annotated[int, Field(description="Processes of the API.", ge=1, le=64)] = 1
    api_max_body_bytes: Annotated[
        int, Field(description="Largest body of a JSON request, in bytes.", ge=1024)
    ] = 1 << 20
    api_max_rows: Annotated[int, Field(description="Most rows of a JSON request.", ge=1)] = 1000
    batch_max_bytes: Annotated[
        int, Field(description="Largest body of a file sent to `/predict/batch`.", ge=1024)
    ] = 1 << 30
    batch_max_seconds: Annotated[
        float, Field(description="Seconds that such a file may take to arrive.", gt=0)
    ] = 600.0
    api_max_concurrency: Annotated[
        int, Field(description="Requests that one worker answers at a time; more get 503.", ge=1)
    ] = 256
    api_header_seconds: Annotated[
        float, Field(description="Seconds in which a request's headers must arrive.", gt=0)
    ] = 10.0
    api_body_seconds: Annotated[
        float, Field(description="Seconds in which a JSON body must arrive.", gt=0)
    ] = 20.0
    api_open_body_bytes: Annotated[
        int,
        Field(description="Largest body where no token is needed: a form, a webhook.", ge=1024),
    ] = 16 << 10
    api_open_body_seconds: Annotated[
        float, Field(description="Seconds in which such a body must arrive.", gt=0)
    ] = 5.0
    api_write_seconds: Annotated[
        float,
        Field(
            description="Seconds in which a client must read some of its answer, or is "
            "disconnected.",
            gt=0,
        ),
    ] = 30.0
    api_max_connections: Annotated[
        int,
        Field(
            description="Connections that one worker holds; with more, the one that has waited "
            "longest without a whole request is closed.",
            ge=8,
        ),
    ] = 2048
    trusted_proxies: Annotated[
        tuple[IPvAnyNetwork, ...],
        Field(
            description="Addresses or networks, with commas between or as a JSON list, of proxies "
            "whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed; empty: nobody's."
        ),
    ] = ()
    api_access_log: Annotated[
        Literal["all", "errors", "none"],
        Field(description="Which answers are logged: all, those from 400 on, or none."),
    ] = "errors"
    cors_origins: Annotated[
        tuple[str, ...],
        Field(description="Origins (JSON list) whose pages may ask the API from a browser."),
    ] = ()
    record_predictions: Annotated[
        bool, Field(description="Whether answers are kept in the data bucket, as Parquet.")
    ] = True
    record_seconds: Annotated[
        float,
        Field(
            description="Seconds between two files of recorded answers; until then they lie in the "
            "home folder, or where that takes none, they are stored each second.",
            gt=0,
        ),
    ] = 300.0
    record_queue_rows: Annotated[
        int, Field(description="Recorded answers that may wait; more are dropped, counted.", ge=1)
    ] = 200_000
    model_trial_s: Annotated[
        float,
        Field(
            description="Seconds that a process may take to try a model before it is served.", gt=0
        ),
    ] = 20.0
    registry_stale_s: Annotated[
        float,
        Field(
            description="Seconds, beyond those between two looks, without a finished look at the "
            "champion alias after which the API calls itself degraded.",
            gt=0,
        ),
    ] = 60.0
    allow_pickle: Annotated[
        tuple[str, ...],
        Field(
            description="Versions (JSON list, such as `svm_prod/3`) that may be loaded from a "
            "pickle, which runs what its author wants."
        ),
    ] = ()
    mlflow_webhook_secret: Annotated[
        SecretStr | None,
        Field(description="Secret of MLflow's webhook that wakes the API (`POST /model/webhook`)."),
    ] = None
    otlp_endpoint: Annotated[
        str | None,
        Field(description="Where OpenTelemetry traces go (OTLP over HTTP); extra `traces`."),
    ] = None
