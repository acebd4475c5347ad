"""Commands on the inference API: serve, token, account."""

import secrets
from enum import StrEnum
from typing import Annotated

import httpx
import typer

from presagio.cli.output import AsJson, Home, print_json, print_table, say
from presagio.cli.tables import Column
from presagio.errors import NotFoundError, SettingsError, StackError
from presagio.settings import load_settings

app = typer.Typer(
    no_args_is_help=True, help="Accounts of the API, besides the two that are built in."
)
_SECRET_BYTES = 24


class ScopeName(StrEnum):
    """What a token allows."""

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
    from presagio.serving.auth.tokens import open_authority  # noqa: PLC0415 - heavy imports
    from presagio.serving.worker import serve as run  # noqa: PLC0415

    settings = load_settings(home)
    # What would stop each worker is reported once, and here.
    open_authority(settings)
    if workers is not None:
        settings = settings.model_copy(update={"api_workers": workers})
    run(settings, host=host, port=port)


def token(
    scope: Annotated[
        list[ScopeName] | None,
        typer.Option(
            metavar="SCOPE",
            help="What the token may do: predict, feedback, admin; can be given several times. "
            "All by default.",
        ),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print a token for the API: curl -H "Authorization: Bearer $(presagio token)"."""
    from presagio.jobs.api_client import fetch_token  # noqa: PLC0415 - heavy imports

    settings = load_settings(home)
    try:
        issued = fetch_token(settings, " ".join(scope or ()))
    except httpx.HTTPStatusError as err:
        raise StackError(
            f"{settings.api_url}/token answers {err.response.status_code}: {err.response.text}"
        ) from err
    except httpx.HTTPError as err:
        raise StackError(
            f"no API answers at {settings.api_url} ({err}); start the stack: presagio up"
        ) from err
    if as_json:
        print_json(issued)
    else:
        print(issued["access_token"])


@app.command("add")
def add_account(
    name: Annotated[str, typer.Argument(help="Name of the account.")],
    scope: Annotated[
        list[ScopeName],
        typer.Option(
            metavar="SCOPE",
            help="What its tokens may do: predict, feedback, admin; can be given several times.",
        ),
    ],
    kind: Annotated[
        KindName, typer.Option(help="A person (user) or a program (client).")
    ] = KindName.client,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Add an account, or give an existing one a new secret.

    The secret is printed once; only its hash is stored.
    """
    from presagio.serving.auth import accounts  # noqa: PLC0415 - heavy imports

    settings = load_settings(home)
    if name in {"admin", settings.client_id}:
        raise SettingsError(f"{name} is a built-in account of the API; choose another name")
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    account = accounts.make_account(name, kind.value, secret, tuple(one.value for one in scope))
    others = [
        known for known in accounts.read_accounts(settings.accounts_file)
        if (known.name, known.kind) != (name, kind.value)
    ]  # fmt: skip
    accounts.write_accounts(settings.accounts_file, (*others, account))
    if as_json:
        print_json({"name": name, "kind": kind, "secret": secret, "scopes": account.scopes})
    else:
        say(f"{kind.value} {name}: {', '.join(account.scopes)}. Its secret, shown once:")
        print(secret)


@app.command("list")
def list_accounts(home: Home = None, as_json: AsJson = False) -> None:
    """List the accounts that were added."""
    from presagio.serving.auth import accounts  # noqa: PLC0415 - heavy imports

    known = accounts.read_accounts(load_settings(home).accounts_file)
    if as_json:
        for account in known:
            print_json({"name": account.name, "kind": account.kind, "scopes": account.scopes})
        return
    columns = (Column("Name", "middle"), Column("Kind"), Column("Scopes", "words"))
    print_table(columns, [(each.name, each.kind, ", ".join(each.scopes)) for each in known])


@app.command("remove")
def remove_account(
    name: Annotated[str, typer.Argument(help="Name of the account.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Remove an account; tokens that it has stay valid until they expire."""
    from presagio.serving.auth import accounts  # noqa: PLC0415 - heavy imports

    path = load_settings(home).accounts_file
    known = accounts.read_accounts(path)
    if name not in {account.name for account in known}:
        raise NotFoundError(f"there is no account {name}; see: presagio account list")
    accounts.write_accounts(path, tuple(account for account in known if account.name != name))
    if as_json:
        print_json({"name": name, "removed": True})
    else:
        say(f"{name} is removed.")


def register(app_: typer.Typer) -> None:
    """Add the commands to the command line."""
    app_.command()(serve)
    app_.command()(token)
