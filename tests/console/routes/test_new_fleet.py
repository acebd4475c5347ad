"""A new fleet: drafted from a file, with its questions; checked; added with its first file."""

import html
from collections.abc import Callable
from contextlib import closing

import httpx
import pytest

from presagio.console.services import Services
from presagio.ingest.filing import file_object
from presagio.ingest.opening import open_intake
from presagio.jobs.first_model import training
from presagio.settings import Settings
from presagio.storage.audit import AuditLog
from presagio.storage.fleets import read_added, remove_fleet
from tests.console.browser import Browser, forms_of

pytestmark = pytest.mark.integration

SignedIn = Callable[[str], Browser]
DRAFT, CHECK, ADD = (f"/fleets/new/{step}" for step in ("draft", "check", "add"))
ROWS = "".join(f"M{n % 4},{60 + n % 17},{1400 + 3 * n},{int(n % 10 == 0)}\n" for n in range(60))
PUMPS = f"machine,Pressure <i> [bar],speed_rpm,failure\n{ROWS}".encode()


def send(
    browser: Browser, action: str, file: tuple[str, bytes] | None = None, language: str = "en",
    **fields: str,
) -> httpx.Response:  # fmt: skip
    """Send the form of the page, with a file or without one."""
    forms = dict(forms_of(browser.get("/fleets/new")))
    fields["csrf_token"] = forms[DRAFT]["csrf_token"]
    return browser.client.post(
        action, data=fields, files={"file": file or ("", b"")},
        headers={"Accept-Language": language},
    )  # fmt: skip


def spec_of(page: httpx.Response) -> str:

    return html.unescape(
        page.text.partition("<textarea")[2].partition(">")[2].partition("</textarea>")[0]
    ).lstrip("\n")


def test_only_who_may_add_fleets_sees_the_page(signed_in: SignedIn) -> None:
    assert signed_in("operator").get("/fleets/new").status_code == 403


def test_a_fleet_is_drafted_checked_and_added_with_its_first_file(
    signed_in: SignedIn, console_settings: Settings
) -> None:
    browser = signed_in("chief")
    page = send(browser, DRAFT, ("pumps.csv", PUMPS), name="console pumps")
    assert page.status_code == 200, page.text
    assert "Is this what a failure is? It is in 10.00% of the rows." in page.text
    assert "Is this the column that names a machine?" in page.text
    assert "<i>" not in page.text
    assert "Would be taken" in page.text
    text = spec_of(page)
    assert 'name = "console_pumps"' in text

    broken = send(browser, CHECK, spec=text.replace("[[features]]", "[[sensors]]", 1))
    assert "line " in broken.text
    assert "is no field of a machine spec" in broken.text
    assert 'name = "console_pumps"' in spec_of(broken)
    taken = send(browser, ADD, spec=text.replace('"console_pumps"', '"ai4i2020"', 1))
    assert taken.status_code == 422
    assert "A fleet called ai4i2020 is there already" in taken.text

    services = Services(console_settings)
    try:
        done = send(browser, ADD, ("pumps.csv", PUMPS), spec=text)
        assert done.url.path == "/fleets/new/console_pumps"
        assert "The fleet is added, and its first file was sent." in done.text
        assert "None was filed so far." in done.text
        key = "incoming/console_pumps/pumps.csv"
        assert services.store.head(console_settings.s3_bucket, key) is not None
        (entry,) = AuditLog(services.engine).entries(target="fleet console_pumps")
        assert (entry.who, entry.scope, entry.action) == ("chief", "admin", "fleet.add")
        assert browser.get("/fleets/new/console_pumps/steps").status_code == 200
        # No Airflow runs here: nothing is started, and what was tried is written down.
        token = {"csrf_token": forms_of(done)[0][1]["csrf_token"]}
        train = browser.post("/fleets/new/console_pumps/train", token)
        assert train.status_code == 422
        assert "Airflow cannot start the training yet" in train.text
        tried = AuditLog(services.engine).entries(target="fleet console_pumps")
        assert [each.action for each in tried] == [
            "fleet.train.failed", "fleet.train", "fleet.add",
        ]  # fmt: skip
        added = read_added(console_settings, services.store, "console_pumps")
        assert added is not None
        assert training(AuditLog(services.engine), added) == "none"
        # The console has no account of Airflow here, and says what to do instead.
        intake = open_intake(added)
        with closing(intake.ledger):
            assert file_object(intake, key) is not None
        steps = browser.get("/fleets/new/console_pumps").text
        assert "start the DAG train_champion_console_pumps there with min_new_rows 1" in steps
        assert "presagio train --fleet console_pumps" in steps
    finally:
        remove_fleet(console_settings, services.store, "console_pumps")
        services.close()


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("x.parquet", b"PAR1", "not compressed"),
        ("x.csv.gz", b"\x1f\x8b", "not compressed"),
        ("x.csv", b"\x00\xff\xfe", ""),
        ("x.csv", b",".join(b"c%d" % n for n in range(5000)) + b"\n1\n", "columns"),
        ("x.csv", b"a,b\n1,2\n3,4\n", "no column seems to tell failures"),
    ],
)
def test_no_draft_is_made_of_what_is_no_table(
    signed_in: SignedIn, name: str, body: bytes, words: str
) -> None:
    page = send(signed_in("chief"), DRAFT, (name, body))
    assert page.status_code == 422
    assert words in page.text


def test_faults_of_a_spec_are_in_the_language_of_who_reads_them(signed_in: SignedIn) -> None:
    browser = signed_in("chief")
    text = '[[features]]\nname = "x"\nrange = [2, 1]\ncolour = "<i>"\n[target]\nname = "y"\n'
    page = send(browser, CHECK, spec=text, language="es").text
    assert "<bdi>name: falta</bdi>" in page
    assert "<bdi>línea 4: features.0.colour: no es un campo de la especificación" in page
    assert 'lang="en"' not in page.partition("<textarea")[2].partition("<p class")[0]
    assert "is missing" not in page
    # What a library says is marked, and nothing but that.
    broken = send(browser, ADD, spec="name = ", language="es")
    assert broken.status_code == 422
    assert (
        "<bdi>la especificación de la máquina de la nueva flota no es TOML: "
        '<span lang="en">Invalid value' in broken.text
    )
    english = send(browser, CHECK, spec="name = ").text
    assert "machine spec of the new fleet is no TOML: Invalid value" in english
    taken = send(
        browser, CHECK, spec='name = "events"\ntitle = "E"\n' + text.replace("[2, 1]", "[1, 2]")
        .replace('colour = "<i>"\n', ""), language="es",
    )  # fmt: skip
    assert "de la nueva flota: una flota no se puede llamar events" in taken.text


def test_a_fleet_that_is_not_there_is_not_on_its_way(signed_in: SignedIn) -> None:
    for name in ("none", "..%2F..%2Fx", "%3Cb%3E"):
        assert signed_in("chief").get(f"/fleets/new/{name}").status_code == 404
