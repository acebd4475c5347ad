"""The models of a fleet: its champion, its card, and who may promote and roll back."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import playwright.sync_api
import pytest

from presagio.console.addresses import address
from presagio.errors import ChampionChangedError
from presagio.fleet import load_fleets
from presagio.lifecycle.promotion import Promoter, Seen, open_promoter, promote
from presagio.machine.spec import MachineSpec
from presagio.settings import Settings
from presagio.storage.audit import AuditLog
from presagio.training.train import TrainedModel
from tests.champions import register_version
from tests.console.browser import Browser, forms_of
from tests.console.conftest import ServeConsole
from tests.console.tabs import tab_of
from tests.e2e.chromium import needs_chromium
from tests.watched import opened_engine

pytestmark = pytest.mark.integration

SPANISH = {"accept-language": "es"}
_HOSTILE = "</textarea><script>alert(1)</script>%s\"'"


@dataclass(frozen=True)
class _Plant:
    """A fleet with two versions of its model: the first is champion."""

    settings: Settings
    promoter: Promoter
    first: str
    second: str

    def page(self, *parts: str) -> str:
        return address("models", self.fleet, *parts)

    @property
    def fleet(self) -> str:
        return load_fleets(self.settings).default.name  # type: ignore[union-attr]

    @property
    def champion(self) -> str:
        return self.promoter.registry.resolve().version


@pytest.fixture(scope="module")
def plant(
    console_settings: Settings, spec: MachineSpec, trained: TrainedModel,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[_Plant]:  # fmt: skip
    name, folder = f"models_{uuid4().hex[:8]}", tmp_path_factory.mktemp("models")
    settings = console_settings.model_copy(update={"model_name": name, "experiment": name})
    promoter = open_promoter(settings, spec)

    def register(place: Path) -> str:
        return register_version(trained, promoter.registry, place).version

    first = register(folder / "1")
    promote(promoter, promoter.registry.version(first), who="train_champion", why=_HOSTILE)
    yield _Plant(settings, promoter, first, register(folder / "2"))
    promoter.promotions.close()


@pytest.fixture(scope="module")
def people(serve_console: ServeConsole, plant: _Plant) -> Iterator[Callable[[str], Browser]]:
    known: dict[str, Browser] = {}
    changes = {"model_name": plant.settings.model_name, "experiment": plant.settings.experiment}
    with serve_console(**changes) as make:

        def sign_in(name: str) -> Browser:
            if name not in known:
                known[name] = make()
                known[name].be(name)
            return known[name]

        yield sign_in


def _send(browser: Browser, plant: _Plant, version: str, **fields: str) -> httpx.Response:
    page = browser.get(plant.page(version))
    return browser.submit(page, plant.page(version, "promote"), **fields)


def test_a_fleet_has_its_champion_its_challengers_and_its_history(
    people: Callable[[str], Browser], plant: _Plant
) -> None:
    page = people("viewer").get("/models").text
    assert f"Version {plant.first}" in page
    assert f'href="{plant.page(plant.second)}"' in page
    assert "train_champion" in page
    assert "<script>alert" not in page


def test_the_card_stands_in_the_console_in_the_readers_language(
    people: Callable[[str], Browser], plant: _Plant
) -> None:
    browser = people("viewer")
    english = browser.get(plant.page(plant.first)).text
    assert "Performance on the held-out test set" in english
    assert "<svg" in english
    assert "style=" not in english
    spanish = browser.get(plant.page(plant.first), **SPANISH).text
    assert "Rendimiento en el conjunto de prueba reservado" in spanish
    assert "Average precision" not in spanish
    for text in ("Calidad del producto L", "menor coste esperado", "con estos datos y versiones"):
        assert text in spanish


def test_pages_link_to_mlflow_where_it_is_known_how_browsers_reach_it(
    people: Callable[[str], Browser], serve_console: ServeConsole, plant: _Plant
) -> None:
    assert "MLflow, in another tab" not in people("viewer").get(plant.page(plant.first)).text
    name, pages = plant.settings.model_name, "https://mlflow.example.org"
    changes = {"model_name": name, "experiment": plant.settings.experiment}
    with serve_console(mlflow_pages_url=f"{pages}/", **changes) as make:
        browser = make()
        browser.sign_in("viewer")
        shown = [browser.get(plant.page(*parts)).text for parts in ((), (plant.first,))]
    version = f"{pages}/#/models/{name}/versions/{plant.first}?workflowType=machine_learning"
    run = plant.promoter.registry.version(plant.first).run_id
    assert f'href="{pages}/#/models/{name}?workflowType' in shown[0]
    assert f'href="{version}" target="_blank" rel="noopener noreferrer"' in shown[1]
    assert re.search(rf'href="{pages}/#/experiments/\d+/runs/{run}\?workflowType', shown[1])


def test_who_may_look_only_is_offered_nothing_and_refused(
    people: Callable[[str], Browser], plant: _Plant
) -> None:
    browser = people("operator")
    page = browser.get(plant.page(plant.second))
    assert plant.page(plant.second, "promote") not in {action for action, _ in forms_of(page)}
    token = next(fields["csrf_token"] for _, fields in forms_of(page))
    fields = {"csrf_token": token, "why": "me too", "seen": plant.first}
    assert browser.post(plant.page(plant.second, "promote"), fields).status_code == 403
    assert plant.champion == plant.first


def test_what_the_gate_refuses_is_promoted_in_a_second_step_and_rolled_back(
    people: Callable[[str], Browser], plant: _Plant
) -> None:
    chief = people("chief")
    assert _send(chief, plant, plant.second, why=" ").status_code == 422
    refused = _send(chief, plant, plant.second, why="tried").text
    assert "The gate did not let it pass" in refused
    assert "are needed" in refused
    spanish = chief.get(plant.page(plant.second), **SPANISH).text
    assert "tried; su coste esperado por cada 1.000 lecturas es" in spanish
    assert "y se necesita el 90 %" in spanish
    assert "expected cost" not in spanish
    assert plant.champion == plant.first
    done = _send(chief, plant, plant.second, why="I know better", force="yes")
    assert "in spite of the gate" in done.text
    assert plant.champion == plant.second
    page = chief.get(plant.page())
    chief.submit(page, plant.page("roll-back"), version=plant.first, why="worse in the plant")
    assert plant.champion == plant.first
    with opened_engine(plant.settings) as engine:
        audit = AuditLog(engine).entries(limit=3)
    assert [(each.who, each.action, each.scope) for each in audit] == [
        ("chief", "model.rollback", "admin"), ("chief", "model.promote", "admin"),
        ("chief", "model.promote", "admin"),
    ]  # fmt: skip


def test_a_champion_that_changed_while_the_page_was_open_stays_and_is_named(
    people: Callable[[str], Browser], plant: _Plant
) -> None:
    answer = _send(people("chief"), plant, plant.second, why="old page", seen="77", force="yes")
    assert answer.status_code == 409
    assert f"Version {plant.first} has become champion meanwhile" in answer.text
    assert plant.champion == plant.first
    # The form that comes with it has seen the new one.
    assert {"seen": plant.first}.items() <= dict(forms_of(answer))[
        plant.page(plant.second, "promote")
    ].items()
    with pytest.raises(ChampionChangedError):
        Seen(None).check(plant.promoter.registry.resolve())


@needs_chromium
def test_a_champion_that_is_swapped_under_an_open_page_is_named_in_a_real_browser(
    chromium: playwright.sync_api.Browser, people: Callable[[str], Browser], plant: _Plant
) -> None:
    tab = tab_of(chromium, people("chief"))
    tab.open(plant.page(plant.second))
    registry = plant.promoter.registry
    registry.assign("champion", registry.version(plant.second))
    try:
        tab.page.get_by_label("Why").first.fill("an old page")
        with tab.page.expect_response(f"**{plant.page(plant.second, 'promote')}") as answer:
            tab.page.get_by_role("button", name="Promote, if the gate lets it").click()
        assert answer.value.status == 409
        tab.page.wait_for_load_state("load")
        assert f"Version {plant.second} has become champion meanwhile" in tab.text()
        assert plant.champion == plant.second
        assert tab.faults() == []
    finally:
        registry.assign("champion", registry.version(plant.first))


@pytest.mark.parametrize("number", ["999", "0x1", "..", "1/../2", "\u0661", "9" * 40])
def test_a_version_that_there_is_not_is_a_page_that_says_so(
    people: Callable[[str], Browser], plant: _Plant, number: str
) -> None:
    assert people("viewer").get(plant.page(number)).status_code == 404
