"""Commands on accounts of the API: add, list, remove."""

import secrets
from enum import StrEnum
from typing import Annotated

import typer

from presagio.cli.composition import Parts
from presagio.cli.output import AsJson, Home, ScopeName, print_json, print_table, say
from presagio.cli.tables import Column
from presagio.errors import NotFoundError, SettingsError
from presagio.serving.auth.accounts import make_account
from presagio.serving.auth.shared_accounts import opened_accounts
from presagio.settings.sign_in import OIDC_PREFIX

_SECRET_BYTES = 24


class KindName(StrEnum):
    """A person, or a program."""

    user = "user"
    client = "client"


def add_account(
    name: Annotated[str, typer.Argument(help="Name of the account.")],
    scope: Annotated[
        list[ScopeName],
        typer.Option(
            metavar="SCOPE",
            help="What its tokens may do: predict, feedback, view, operate, admin; can be "
            "given several times.",
        ),
    ],
    kind: Annotated[
        KindName, typer.Option(help="A person (user) or a program (client).")
    ] = KindName.client,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Add an account, or give an existing one a new secret.

    The secret is printed once; only its hash is stored: in the database that replicas of the API
    share (PRESAGIO_API_DATABASE_URL), else in accounts.json of the home folder. Every replica knows
    the account at once.
    """
    settings = Parts(home).settings
    if name in {"admin", settings.client_id}:
        raise SettingsError(f"{name} is a built-in account of the API; choose another name")
    if name.startswith(OIDC_PREFIX):
        raise SettingsError(
            f"names with {OIDC_PREFIX} are the identity provider's; choose another name"
        )
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    account = make_account(name, kind.value, secret, tuple(one.value for one in scope))
    with opened_accounts(settings) as added:
        added.put(account)
    if as_json:
        print_json({"name": name, "kind": kind, "secret": secret, "scopes": account.scopes})
    else:
        say(f"{kind.value} {name}: {', '.join(account.scopes)}. Its secret, shown once:")
        print(secret)


def list_accounts(home: Home = None, as_json: AsJson = False) -> None:
    """List the accounts that were added."""
    with opened_accounts(Parts(home).settings) as added:
        known = added.all()
    if as_json:
        for account in known:
            print_json({"name": account.name, "kind": account.kind, "scopes": account.scopes})
        return
    columns = (Column("Name", "middle"), Column("Kind"), Column("Scopes", "words"))
    print_table(columns, [(each.name, each.kind, ", ".join(each.scopes)) for each in known])


def remove_account(
    name: Annotated[str, typer.Argument(help="Name of the account.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Remove an account; tokens that it has stay valid until they expire."""
    with opened_accounts(Parts(home).settings) as added:
        if not added.remove(name):
            raise NotFoundError(f"there is no account {name}; see: presagio account list")
    if as_json:
        print_json({"name": name, "removed": True})
    else:
        say(f"{name} is removed.")
