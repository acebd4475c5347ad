"""The model card's page, from the card's JSON alone."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.inference.predictor import fallback_folder
from presagio.pages.model_card import card_page

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
CURVES = {
    "precision_recall": [[0.0, 1.0], [0.9, 1.0], [1.0, 0.03]],
    "roc": [[0.0, 0.0], [0.0, 0.9], [1.0, 1.0]],
    "reliability": [[0.01, 0.0], [0.9, 0.95]],
}


@pytest.fixture(scope="module")
def card() -> dict[str, Any]:
    """The card of the model that ships with the package, as an older version wrote it."""
    found: dict[str, Any] = json.loads((fallback_folder() / "card.json").read_bytes())
    return found


class _Text(HTMLParser):
    """Collects what is read on a page, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_style = tag == "style"

    def handle_data(self, data: str) -> None:
        if not self._in_style:
            self.words.append(data)


def _read(page: str) -> _Text:
    read = _Text()
    read.feed(page)
    return read


@pytest.mark.parametrize(
    ("baselines", "always_negative"),
    [("baselines", "always_negative"), ("rivals", "never_to_warn")],
)
def test_the_model_comes_first_then_its_baselines(
    card: dict[str, Any], baselines: str, always_negative: str
) -> None:
    # The second names are those of cards that were stored before 0.2.
    stored = {name: value for name, value in card.items() if name not in {"baselines", "rivals"}}
    cost = {"model": 5.0, "baseline": 20.0, always_negative: 30.0}
    page = card_page(stored | {"test_cost_per_1000": cost, baselines: {"forest": card["baseline"]}})
    order = [
        "The model", "This model", "Reference model", "Always-negative baseline",
        "Baseline: forest", "<h2>Data", "<h2>Limits",
    ]  # fmt: skip
    places = [page.index(title) for title in order]
    assert places == sorted(places)
    f1 = card["test"]["f1"]
    assert f"{f1:.3f}</td>" in page
    assert str(f1) not in page


def test_no_python_and_no_long_number_is_in_the_text(card: dict[str, Any]) -> None:
    read = " ".join(_read(card_page({**card, "curves": CURVES})).words)
    assert not re.findall(r"\{'|\['|': |None|True|False(?! positive)|np\.", read)
    digits = read.replace(card["data"]["sha256"], "")
    assert not re.findall(r"\d\.\d{5,}", digits)


def test_it_needs_nothing_from_elsewhere_and_fits_a_phone(card: dict[str, Any]) -> None:
    page = _read(card_page({**card, "curves": CURVES}))
    names = [tag for tag, _ in page.tags]
    assert not {"script", "link", "img", "iframe"} & set(names)
    assert names.count("svg") == 3
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in (
        page.tags
    )
    cells = [attributes for tag, attributes in page.tags if tag == "td"]
    assert all("http" not in str(value) for _, each in page.tags for value in each.values())
    assert sum("data-label" in cell for cell in cells) > len(cells) / 2


def test_text_of_a_card_is_text_on_the_page(card: dict[str, Any]) -> None:
    page = card_page({**card, "title": "<script>alert(1)</script>", "limits": ["<b>"]})
    assert "<script" not in page
    assert "<b>" not in page


def test_the_card_of_a_third_party_model_says_where_it_is_from() -> None:
    page = card_page(
        {"title": "svm_prod version 7", "origin": "registered by hand", "sha256": "ab"}
    )
    assert "Model card: svm_prod version 7" in page
    assert "registered by hand" in page
    assert "<h2>" not in page


@pytest.mark.parametrize("odd", [10**400, float("nan"), float("inf"), -(10**16)])
def test_a_number_that_is_none_is_a_dash(card: dict[str, Any], odd: float) -> None:
    page = card_page({
        **card, "test": card["test"] | {"f1": odd, "recall": odd}, "data": {"rows": odd},
        "test_intervals": {"f1": {"low": odd, "high": odd}}, "curves": {"roc": [[odd, odd]]},
    })  # fmt: skip
    assert 'data-label="F1">-</td>' in page


@given(st.data())
def test_a_card_of_any_kind_breaks_nothing(data: st.DataObject) -> None:
    card = json.loads((fallback_folder() / "card.json").read_bytes())
    card["curves"] = json.loads(json.dumps(CURVES))
    place = card
    while True:
        name = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[name], dict) or not place[name] or data.draw(st.booleans()):
            place[name] = data.draw(JSON)
            break
        place = place[name]
    assert card_page(card).startswith("<!doctype html>")
