"""Settings of the web console."""

from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, field_validator

from presagio.settings.sign_in import SignInSettings, split_list


class ConsoleSettings(SignInSettings):
    """How the console keeps people signed in, and how it shows numbers and times."""

    @field_validator("console_units", mode="before")
    @classmethod
    def _split_units(cls, value: Any) -> Any:
        return split_list(value)

    @field_validator("plant_time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, OSError) as err:
            # Its own error is a KeyError, which is none of a validator.
            raise ValueError("a name of the IANA time zone database is expected") from err
        except KeyError as err:
            raise ValueError("a name of the IANA time zone database is expected") from err
        return value

    console_database_url: Annotated[
        SecretStr | None,
        Field(
            description="PostgreSQL database of the console: the ledger's, by an account of few "
            "rights; `PRESAGIO_DATABASE_URL` where it is empty."
        ),
    ] = None
    console_idle_minutes: Annotated[
        float,
        Field(
            description="Minutes without a page asked for after which a session of the console "
            "ends; a page that updates itself does not count.",
            gt=0,
            le=1440,
        ),
    ] = 120.0
    console_session_hours: Annotated[
        float, Field(description="Hours after which it ends in any case.", gt=0, le=168)
    ] = 12.0
    console_form_bytes: Annotated[
        int, Field(description="Largest form that the console takes, in bytes.", ge=1024)
    ] = 64 << 10
    console_upload_bytes: Annotated[
        int, Field(description="Most bytes of files that a browser may send at once.", ge=1024)
    ] = 256 << 20
    console_refresh_seconds: Annotated[
        float, Field(description="Seconds after which a page looks for what is new.", ge=1, le=3600)
    ] = 5.0
    plant_time_zone: Annotated[
        str,
        Field(description="Time zone that the console shows times in, such as `Europe/Madrid`."),
    ] = "UTC"
    console_units: Annotated[
        tuple[str, ...],
        Field(
            description="Units that the console shows where a machine spec has no `display_unit`, "
            "as `K=°C`, with commas between or as a JSON list."
        ),
    ] = ("K=°C",)
