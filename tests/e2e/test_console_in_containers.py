"""The console in its container, where image, network, accounts and rights are others."""

import json
import re
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser
from pydantic import SecretStr

from presagio.errors import StackError
from presagio.jobs.airflow_runs import AirflowRuns
from presagio.settings import SCORES
from presagio.storage.database import open_database
from tests.e2e.chromium import Tab, chromium, needs_chromium, open_tab
from tests.e2e.containers import ContainerStack
from tests.e2e.stack import Stack, eventually
from tests.readings import COLUMNS
from tests.watched import Watched
from tests.workbooks import Cell, workbook

pytestmark = [pytest.mark.containers, needs_chromium]

# One of each kind, beside those that the walk comes by: an alarm, a unit, a receipt.
_PAGES = (
    "/", "/alarms", "/helped", "/files", "/fleets/new", "/models", "/models/ai4i2020/1", "/drift",
    "/what-if?sent=1&v.torque_nm=70",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def rosa(stack: Stack) -> Iterator[str]:
    """Somebody's password, whose account was added in the API's container."""
    scopes = [f"--scope={scope}" for scope in ("view", "operate", "admin")]
    done = stack.call("account", "add", "rosa", "--kind", "user", *scopes, "--json")
    assert done.returncode == 0, done.stderr
    yield json.loads(done.stdout)["secret"]
    assert stack.call("account", "remove", "rosa").returncode == 0


@pytest.fixture
def tab(browser: Browser, stack: Stack, rosa: str) -> Tab:
    """A tab of hers, in the language whose texts are files of the image."""
    tab = open_tab(browser, stack.settings.console_url, language="es")
    tab.open("/")
    tab.sign_in("rosa", f"not {rosa}")
    assert "El nombre o la contraseña no son correctos." in tab.text()
    tab.sign_in("rosa", rosa)
    return tab


def _press(tab: Tab, name: str) -> None:
    tab.page.get_by_role("button", name=name, exact=True).click()
    tab.page.wait_for_load_state("load")


def test_a_workbook_is_checked_sent_and_filed_and_every_kind_of_page_comes(
    tab: Tab, tmp_path: Path
) -> None:
    """A workbook is read in a process of its own, by a library of its own."""
    rows: list[list[Cell]] = [["M", 300.0, 310.0, 1500.0 + n, 40.0, 10.0] for n in range(20)]
    file = tmp_path / "turno.xlsx"
    file.write_bytes(workbook(COLUMNS, *rows, ["M", 300.0, 310.0, 1500.0, -1.0, 10.0]))
    tab.open("/files?fleet=ai4i2020")
    tab.page.set_input_files("input[type=file]", file)
    tab.page.get_by_text("Se aceptaría, salvo algunas filas").wait_for()
    _press(tab, "Enviar")
    # It appears by itself as soon as Airflow has filed it.
    tab.page.get_by_role("link", name=file.name).click(timeout=60_000)
    tab.page.wait_for_load_state("load")
    assert "Aceptado, salvo algunas filas" in tab.text()
    with tab.page.expect_download() as download:
        tab.page.get_by_role("link", name="Descargar el original").click()
    assert download.value.path().read_bytes() == file.read_bytes()
    found = {"receipt": tab.faults()}
    for address in _PAGES:
        tab.open(address)
        assert tab.page.get_attribute("html", "lang") == "es"
        found[address] = tab.faults()
    assert found == {address: [] for address in found}


def test_an_alarm_is_worked_on_by_who_may_only_add(tab: Tab, stack: Stack) -> None:
    database = open_database(stack.settings)
    watched = Watched(stack.intake, database)
    watched.state("torno 7", 1.0, state="alarm", label=True, probability=0.9)
    case = watched.alarm("torno 7", 1.0)
    try:
        tab.open("/?state=alarm")
        tab.page.get_by_role("link", name="torno 7").click()
        tab.page.wait_for_load_state("load")
        assert tab.faults() == []
        tab.open(f"/alarms/{case}")
        _press(tab, "La he visto")
        tab.page.locator("input[name=outcome][value=false]").check()
        tab.page.fill("[name=why]", "revisado")
        _press(tab, "Cerrar la alarma")
        assert tab.faults() == []
        closed = watched.alarms.case(case)
        assert (closed.acknowledged_by, closed.outcome) == ("rosa", "false")
    finally:
        with database.begin() as connection:
            connection.execute(sa.text("DELETE FROM unit_states WHERE unit = 'torno 7'"))
        database.dispose()


def test_its_account_of_airflow_starts_trainings_and_nothing_else(stack: Stack) -> None:
    assert isinstance(stack, ContainerStack)
    settings = stack.console_of_airflow
    for dag in ("csv_file_watcher", "retention", "bulk_score"):
        with AirflowRuns(settings) as airflow, pytest.raises(StackError, match="403"):
            airflow.start(dag, {})
    user, password = settings.airflow_account or ("", SecretStr(""))
    login = {"username": user, "password": password.get_secret_value()}
    with httpx.Client(base_url=settings.airflow_url) as airflow_api:
        token = airflow_api.post("/auth/token", json=login).raise_for_status().json()
        airflow_api.headers["Authorization"] = f"Bearer {token['access_token']}"
        for path in ("connections", "variables", "config", "eventLogs"):
            assert airflow_api.get(f"/api/v2/{path}").status_code == HTTPStatus.FORBIDDEN
        listed = airflow_api.get("/api/v2/dags").raise_for_status().json()["dags"]
    assert [dag["dag_id"] for dag in listed if "train_champion" not in dag["dag_id"]] == []


_FLEET = "bombas"


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Readings of pumps which fail at high pressure."""
    pressures = [n % 97 for n in range(600)]
    rows = "".join(
        f"{each},{1000 + 7 * n % 400},{int(each > 90)}\n" for n, each in enumerate(pressures)
    )
    file = tmp_path / f"{_FLEET}.csv"
    file.write_text(f"pressure,speed,failure\n{rows}", encoding="utf-8")
    return file


def test_a_new_fleet_is_added_filed_trained_and_served_from_its_page(
    tab: Tab, stack: Stack, labelled: Path
) -> None:
    """Each step is another program's, with rights of its own; the page follows by itself."""
    tab.open("/fleets/new")
    tab.page.set_input_files("input[type=file]", labelled)
    _press(tab, "Añadir la flota")
    tab.page.wait_for_url(re.compile(f"/fleets/new/{_FLEET}"))

    def is_started() -> bool:
        tab.open(f"/fleets/new/{_FLEET}")
        start = tab.page.get_by_role("button", name="Entrenar con lo que hay", exact=True)
        if not start.count():
            # Its file is not filed yet.
            return False
        start.click()
        tab.page.wait_for_load_state("load")
        # Airflow reads new fleets every half a minute.
        return "Airflow entrena ahora el primer modelo" in tab.text()

    assert eventually(is_started, 120)
    tab.page.get_by_text("La API responde con la versión 1.").wait_for(timeout=180_000)
    assert tab.faults() == []
    # What was filed before there was a model is scored now.
    settings = stack.settings.of_fleet(_FLEET)
    scores = partial(stack.intake.store.list, settings.data_bucket, settings.place(SCORES))
    assert eventually(lambda: [*scores()])
    assert stack.call("fleet", "remove", _FLEET).returncode == 0
