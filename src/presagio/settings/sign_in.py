"""Settings of the console's sign-in by an identity provider (OpenID Connect)."""

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

# What names of people from the identity provider begin with: no account with a password has one.
OIDC_PREFIX = "oidc:"
# Neither a query nor a fragment, and no name of somebody.
_PLAIN = re.compile(r"[^\s?#@\\]+")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def split_list(value: Any) -> Any:
    """Take a list with commas, as people write it, besides a JSON list."""
    if isinstance(value, str) and not value.lstrip().startswith("["):
        return tuple(entry.strip() for entry in value.split(",") if entry.strip())
    return value


def is_private(address: str) -> bool:
    """Tell whether nobody on the way can read what is sent to an address, or change it."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    is_local = parts.scheme == "http" and parts.hostname in _LOOPBACK
    return bool(parts.hostname) and (parts.scheme == "https" or is_local)


class SignInSettings(BaseSettings):
    """Which identity provider signs people in, if any, and what its groups may do."""

    @field_validator(
        "console_oidc_name_claims", "console_oidc_view_groups", "console_oidc_operate_groups",
        "console_oidc_admin_groups", mode="before",
    )  # fmt: skip
    @classmethod
    def _split_lists(cls, value: Any) -> Any:
        return split_list(value)

    @field_validator("console_oidc_issuer")
    @classmethod
    def _private_issuer(cls, value: str | None) -> str | None:
        if value is not None and (not is_private(value) or not _PLAIN.fullmatch(value)):
            raise ValueError("an https:// address is expected, or http:// of this machine")
        return value

    @field_validator("console_oidc_scope")
    @classmethod
    def _with_openid(cls, value: str) -> str:
        if "openid" not in value.split():
            raise ValueError("`openid` has to be among the scopes")
        return value

    console_oidc_issuer: Annotated[
        str | None,
        Field(
            description="Identity provider (OpenID Connect) that people may sign in to the console "
            "with besides a password: its issuer, exactly as its discovery document names it."
        ),
    ] = None
    console_oidc_client_id: Annotated[
        str, Field(description="Name by which the identity provider knows the console.")
    ] = "presagio"
    console_oidc_client_secret: Annotated[
        SecretStr | None,
        Field(description="The console's secret there; empty for a public client."),
    ] = None
    console_oidc_scope: Annotated[
        str, Field(description="Scopes that are asked for, with spaces between.")
    ] = "openid profile email"
    console_oidc_name_claims: Annotated[
        tuple[str, ...],
        Field(
            description="Claims that name a person; the first one that is there counts. With "
            "commas between or as a JSON list.",
            min_length=1,
        ),
    ] = ("preferred_username", "email")
    console_oidc_groups_claim: Annotated[
        str,
        Field(
            description="Claim with the groups or roles of a person; dots lead into objects "
            "(`realm_access.roles`)."
        ),
    ] = "groups"
    console_oidc_view_groups: Annotated[
        tuple[str, ...],
        Field(
            description="Groups whose members have the scope `view`. With commas between or as a "
            "JSON list."
        ),
    ] = ()
    console_oidc_operate_groups: Annotated[
        tuple[str, ...], Field(description="Groups whose members have `view` and `operate`.")
    ] = ()
    console_oidc_admin_groups: Annotated[
        tuple[str, ...], Field(description="Groups whose members have every scope.")
    ] = ()
    console_oidc_button: Annotated[
        str,
        Field(
            description="Text of the button, as your people call this sign-in; a general one, in "
            "the language of the page, where it is empty.",
            max_length=60,
        ),
    ] = ""
