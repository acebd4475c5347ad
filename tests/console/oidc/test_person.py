"""Who somebody is and what they may do, by whatever a provider says of them."""

from pathlib import Path
from typing import Any

import pytest

from presagio.console.oidc.faults import NotSignedInError
from presagio.console.oidc.person import person_of
from presagio.settings import Settings

pytestmark = pytest.mark.unit

GROUPS = {
    "console_oidc_view_groups": ("viewers",), "console_oidc_operate_groups": ("operators",),
    "console_oidc_admin_groups": ("chiefs", "CN=Chiefs,OU=Plant"),
}  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, **GROUPS)  # type: ignore[arg-type]


def _claims(**changes: Any) -> dict[str, Any]:
    return {"sub": "1", "preferred_username": "rosa", "groups": ["viewers"]} | changes


@pytest.mark.parametrize(
    ("groups", "scopes"),
    [
        (["viewers"], {"view"}),
        (["operators"], {"view", "operate"}),
        (["CN=Chiefs,OU=Plant"], {"view", "operate", "admin"}),
        (["others", 7, None, ["chiefs"], "viewers"], {"view"}),
        ("operators", {"view", "operate"}),
    ],
)
def test_groups_give_scopes(groups: Any, scopes: set[str], settings: Settings) -> None:
    person = person_of(_claims(groups=groups), settings)
    assert (person.name, person.subject, set(person.scopes)) == ("oidc:rosa", "1", scopes)


@pytest.mark.parametrize("groups", [None, [], ["Viewers"], "viewers chiefs", {"viewers": 1}, 7])
def test_who_is_in_no_group_is_let_in_by_none(groups: Any, settings: Settings) -> None:
    with pytest.raises(NotSignedInError) as refused:
        person_of(_claims(groups=groups), settings)
    assert refused.value.reason == "group"


def test_without_groups_in_the_settings_nobody_is_let_in(tmp_path: Path) -> None:
    with pytest.raises(NotSignedInError):
        person_of(_claims(groups=[""]), Settings(home=tmp_path))


def test_a_claim_may_stand_in_objects_and_have_dots_in_its_name(settings: Settings) -> None:
    nested = settings.model_copy(update={"console_oidc_groups_claim": "realm_access.roles"})
    roles = {"roles": ["operators"]}
    assert "operate" in person_of(_claims(realm_access=roles), nested).scopes
    flat = settings.model_copy(update={"console_oidc_groups_claim": "https://plant.test/roles"})
    claims = _claims(**{"https://plant.test/roles": ["operators"]})
    assert "operate" in person_of(claims, flat).scopes


@pytest.mark.parametrize(
    "odd", ["", "  ", 7, None, ["rosa"], "a\nb", "a\0b", "\ud800", "\u202easor", "a" * 200]
)
def test_what_cannot_be_shown_is_no_name(odd: Any, settings: Settings) -> None:
    with pytest.raises(NotSignedInError) as refused:
        person_of(_claims(preferred_username=odd), settings)
    assert refused.value.reason == "nameless"
    claims = _claims(preferred_username=odd, email="rosa@plant.test")
    assert person_of(claims, settings).name == "oidc:rosa@plant.test"


@pytest.mark.parametrize("verified", [False, "false", "False"])
def test_an_address_that_anybody_may_have_written_is_no_name(
    verified: object, settings: Settings
) -> None:
    claims = _claims(preferred_username=None, email="chief@plant.test", email_verified=verified)
    with pytest.raises(NotSignedInError):
        person_of(claims, settings)


def test_a_name_is_written_in_one_way(settings: Settings) -> None:
    person = person_of(_claims(preferred_username=" Jose\u0301 "), settings)
    assert person.name == "oidc:Jos\u00e9"


@pytest.mark.parametrize("subject", ["a\0b", "\ud800", "a" * 300])
def test_a_subject_that_cannot_be_written_down_is_nobodys(subject: str, settings: Settings) -> None:
    with pytest.raises(NotSignedInError):
        person_of(_claims(sub=subject), settings)
