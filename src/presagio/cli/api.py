"""Commands on the inference API: serve, token, account."""

import secrets
from enum import StrEnum
from typing import Annotated

import httpx
import typer
from rich.table import Table

from presagio.cli.output import AsJson, Home, console, print_json
from presagio.errors import SettingsError, StackError
from presagio.settings import load_settings

app = typer.Typer(
    no_args_is_help=True, help="Accounts that may ask the API for tokens, besides its own two."
)
_SECRET_BYTES = 24


class ScopeName(StrEnum):
    """What a token is good for."""

    predict = "predict"
    feedback = "feedback"
    admin = "admin"


class KindName(StrEnum):
    """A person, or a program."""

    user = "user"
    client = "client"


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8000,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes.", min=1, max=64, show_default="PRESAGIO_API_WORKERS"),
    ] = None,
    home: Home = None,
) -> None:
    """Serve the inference API until Ctrl-C; `presagio up` does so among the rest."""
    from presagio.serving.tokens import open_authority  # noqa: PLC0415 - heavy imports
    from presagio.serving.worker import serve as run  # noqa: PLC0415

    settings = load_settings(home)
    # What would stop each worker is said once, and here.
    open_authority(settings)
    if workers is not None:
        settings = settings.model_copy(update={"api_workers": workers})
    run(settings, host=host, port=port)


def token(
    scope: Annotated[
        list[ScopeName] | None,
        typer.Option(help="What it is good for; can be given several times. All by default."),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print a token for the API: curl -H "Authorization: Bearer $(presagio token)"."""
    from presagio.orchestration.api import fetch_token  # noqa: PLC0415 - heavy imports

    settings = load_settings(home)
    try:
        found = fetch_token(settings, " ".join(scope or ()))
    except httpx.HTTPStatusError as err:
        raise StackError(
            f"{settings.api_url}/token answers {err.response.status_code}: {err.response.text}"
        ) from err
    except httpx.HTTPError as err:
        raise StackError(
            f"no API answers at {settings.api_url} ({err}); start the stack: presagio up"
        ) from err
    if as_json:
        print_json(found)
    else:
        print(found["access_token"])


@app.command("add")
def add_account(
    name: Annotated[str, typer.Argument(help="Its name.")],
    scope: Annotated[
        list[ScopeName], typer.Option(help="What it may ask for; can be given several times.")
    ],
    kind: Annotated[KindName, typer.Option(help="A person or a program.")] = KindName.client,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Add an account, or give it a new secret, which is printed once and kept as a hash only."""
    from presagio.serving import accounts  # noqa: PLC0415 - heavy imports

    settings = load_settings(home)
    if name in {"admin", settings.client_id}:
        raise SettingsError(f"{name} is an account of the API's own; choose another name")
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    own = accounts.make_account(name, kind.value, secret, tuple(one.value for one in scope))
    others = [
        known for known in accounts.read_accounts(settings.accounts_file)
        if (known.name, known.kind) != (name, kind.value)
    ]  # fmt: skip
    accounts.write_accounts(settings.accounts_file, (*others, own))
    if as_json:
        print_json({"name": name, "kind": kind.value, "secret": secret, "scopes": own.scopes})
    else:
        console.print(f"{kind.value} {name}: {', '.join(own.scopes)}. Its secret, shown once:")
        print(secret)


@app.command("list")
def list_accounts(home: Home = None, as_json: AsJson = False) -> None:
    """List the accounts that were added."""
    from presagio.serving import accounts  # noqa: PLC0415 - heavy imports

    found = accounts.read_accounts(load_settings(home).accounts_file)
    if as_json:
        for own in found:
            print_json({"name": own.name, "kind": own.kind, "scopes": own.scopes})
        return
    table = Table("Name", "Kind", "Scopes")
    for own in found:
        table.add_row(own.name, own.kind, ", ".join(own.scopes))
    console.print(table)


@app.command("remove")
def remove_account(
    name: Annotated[str, typer.Argument(help="Its name.")], home: Home = None
) -> None:
    """Remove an account; tokens that it has hold until they expire."""
    from presagio.serving import accounts  # noqa: PLC0415 - heavy imports

    path = load_settings(home).accounts_file
    found = accounts.read_accounts(path)
    if name not in {own.name for own in found}:
        raise SettingsError(f"there is no account {name}; see: presagio account list")
    accounts.write_accounts(path, tuple(own for own in found if own.name != name))
    console.print(f"{name} is removed.")


def register(app_: typer.Typer) -> None:
    """Add the commands to the command line."""
    app_.command()(serve)
    app_.command()(token)
