"""What if: sliders from the machine spec, the answer of the API, a unit where history counts."""

from collections.abc import Iterator

import pytest

from presagio.console.addresses import address
from presagio.machine.spec import load_spec
from tests.console.browser import Browser
from tests.console.conftest import ServeConsole
from tests.console.watched_fleet import EngineFleet

pytestmark = pytest.mark.integration

# Worn out, slow and loaded: power and overstrain.
_BAD = {"v.torque_nm": "70", "v.rotational_speed_rpm": "1200", "v.tool_wear_min": "240"}


@pytest.fixture(scope="module")
def viewer(serve_console: ServeConsole) -> Iterator[Browser]:
    # The units are those of the machine spec, whatever the plant prefers where it says none.
    with serve_console(console_units=()) as make:
        browser = make()
        browser.sign_in("viewer")
        yield browser


def test_the_sliders_stand_at_the_example_in_the_units_that_people_see(viewer: Browser) -> None:
    page = viewer.get("/what-if").text
    celsius = load_spec().example["airtemperature_k"] - 273.15
    assert f'name="v.airtemperature_k" value="{celsius:g}"' in page
    assert "[°C]" in page
    assert 'type="radio" name="c.type" value="L"' in page
    assert "probability of a failure" in page


def test_the_answer_follows_the_sliders_in_words(viewer: Browser) -> None:
    part = viewer.get(address("what-if", "answer", sent=1, **_BAD))
    assert part.status_code == 200
    assert "<html" not in part.text
    assert "is expected." in part.text
    assert "An alarm from" in part.text
    assert "beyond it" in part.text
    spanish = viewer.get(
        address("what-if", "answer", sent=1, **_BAD), **{"accept-language": "es"}
    ).text
    assert "Se espera" in spanish
    assert "de probabilidad de fallo" in spanish
    assert "0,5 °C" in spanish


def test_a_slider_moves_by_round_numbers_of_the_unit_that_people_see(viewer: Browser) -> None:
    slider = viewer.get("/what-if").text.partition('data-for="v.airtemperature_k"')[2]
    assert 'min="-23.0" max="76.5" step="0.5" value="29.65"' in slider.partition(">")[0]


def test_the_ends_of_a_slider_are_taken_whatever_their_unit(viewer: Browser) -> None:
    page = viewer.get("/what-if").text
    field = page.partition('id="v.airtemperature_k"')[2].partition(">")[0]
    ends = [field.partition(f'{end}="')[2].partition('"')[0] for end in ("min", "max")]
    for end in ends:
        answer = viewer.get(address("what-if", "answer", **{"v.airtemperature_k": end})).text
        assert "probability of a failure" in answer, answer


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("1e9", "The API refuses this reading"),
        ("nan", "is no number"),
        ("<script>", "is no number"),
    ],
)
def test_what_is_no_reading_is_said_in_words(viewer: Browser, value: str, words: str) -> None:
    part = viewer.get(address("what-if", "answer", **{"v.torque_nm": value}))
    assert words in part.text
    assert "<script>" not in part.text


def test_what_is_plausible_is_said_in_the_units_and_the_language_of_who_asks(
    viewer: Browser,
) -> None:
    where = address("what-if", "answer", **{"v.airtemperature_k": "900", "v.torque_nm": "1e9"})
    english = viewer.get(where).text
    assert "Air temperature: Outside the plausible range (-23.15 to 76.85 °C)" in english
    assert "Torque: Outside the plausible range (0 to 150 Nm)" in english
    spanish = viewer.get(where, **{"accept-language": "es"}).text
    assert "Temperatura del aire: Fuera del rango plausible (-23,15 a 76,85 °C)" in spanish
    assert "Par: Fuera del rango plausible (0 a 150 Nm)" in spanish


def test_an_api_that_does_not_answer_is_said_and_the_page_comes(
    serve_console: ServeConsole, viewer: Browser
) -> None:
    with serve_console(api_url="http://127.0.0.1:9") as make:
        browser = make()
        secret = next(v for name, v in viewer.client.cookies.items() if "session" in name)
        # Cookies have the port in their names.
        browser.client.cookies.set(f"presagio_session_{browser.client.base_url.port}", secret)
        page = browser.get("/what-if")
    assert page.status_code == 200
    assert "The API does not answer now" in page.text


def test_a_fleet_that_needs_a_history_lets_choose_a_unit_and_changes_its_newest_reading(
    serve_console: ServeConsole, fleet: EngineFleet
) -> None:
    fleet.watched.state("1", 59.0)
    with serve_console(fleets=(str(fleet.spec),)) as make:
        browser = make()
        browser.sign_in("viewer")
        choose = browser.get(address("what-if", fleet=fleet.name))
        link = address("what-if", fleet=fleet.name, unit="1")
        assert link.replace("&", "&amp;") in choose.text
        page = browser.get(link)
        assert page.status_code == 200
        assert "those before it stay as they were" in page.text
        assert browser.get(address("what-if", fleet=fleet.name, unit="<b>")).status_code == 404
