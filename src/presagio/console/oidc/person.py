"""Who somebody is, and what they may do, by the claims of the identity provider."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize

from presagio.console.oidc.faults import NotSignedInError
from presagio.console.sessions import ADMIN, OPERATE, VIEW
from presagio.settings import Settings
from presagio.settings.sign_in import OIDC_PREFIX

# As OpenID Connect has it.
_LONGEST_NAME, _LONGEST_SUBJECT = 128, 255


@dataclass(frozen=True)
class Person:
    """Somebody whom the identity provider knows.

    Attributes
    ----------
    name
        As sessions, alarms and the audit log have it: no account with a password has such a name.
    subject
        The provider's own mark of this person, which never is another one's.
    scopes
        What the person's groups may do.
    """

    name: str
    subject: str
    scopes: frozenset[str]


def claim_of(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim; None where there is none. Dots lead into objects, if no claim has them."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def is_complete(claims: Mapping[str, Any], settings: Settings) -> bool:
    """Tell whether claims say who somebody is, and in which groups."""
    names = (claim_of(claims, name) for name in settings.console_oidc_name_claims)
    groups = claim_of(claims, settings.console_oidc_groups_claim)
    return groups is not None and any(name is not None for name in names)


def _name(claims: Mapping[str, Any], settings: Settings) -> str:
    for claim in settings.console_oidc_name_claims:
        if claim == "email" and str(claims.get("email_verified", True)).lower() == "false":
            # Anybody could have written it.
            continue
        raw = claim_of(claims, claim)
        # Lone halves of characters, bidirectional marks and line ends are not printable.
        if not isinstance(raw, str) or not raw.isprintable():
            continue
        name = normalize("NFC", raw).strip()
        if name and len(name) <= _LONGEST_NAME:
            return name
    raise NotSignedInError("nameless", f"no name in {sorted(map(str, claims))}")


def _groups(claims: Mapping[str, Any], settings: Settings) -> frozenset[str]:
    raw = claim_of(claims, settings.console_oidc_groups_claim)
    entries = raw if isinstance(raw, list) else [raw]
    return frozenset(entry for entry in entries if isinstance(entry, str))


def person_of(claims: Mapping[str, Any], settings: Settings) -> Person:
    """Return who somebody is.

    Raises
    ------
    NotSignedInError
        If there is no name that can be shown, or no group that may see the console.
    """
    groups, scopes = _groups(claims, settings), set[str]()
    if groups.intersection(settings.console_oidc_view_groups):
        scopes |= {VIEW}
    if groups.intersection(settings.console_oidc_operate_groups):
        scopes |= {VIEW, OPERATE}
    if groups.intersection(settings.console_oidc_admin_groups):
        scopes |= {VIEW, OPERATE, ADMIN}
    name = _name(claims, settings)
    if not scopes:
        raise NotSignedInError("group", f"{name!r} is in {len(groups)} groups, none of them known")
    subject = str(claims["sub"])
    if not subject.isprintable() or len(subject) > _LONGEST_SUBJECT:
        raise NotSignedInError("nameless", f"{name!r} has a subject that cannot be written down")
    return Person(f"{OIDC_PREFIX}{name}", subject, frozenset(scopes))
