import hashlib
import json

import pytest

from presagio.console.assets import FOLDER, Assets


def test_an_address_holds_the_hash_of_what_it_answers() -> None:
    digest = hashlib.sha256((FOLDER / "console.css").read_bytes()).hexdigest()
    assert Assets().address("console.css") == f"/static/console.{digest[:16]}.css"


@pytest.mark.parametrize("name", ["htmx.js", "uplot.js", "uplot.css"])
def test_what_others_wrote_is_as_they_released_it_with_its_licence(name: str) -> None:
    known = json.loads((FOLDER / "third_party.json").read_text())[name]
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == known["sha256"]
    assert (FOLDER / f"{name.partition('.')[0]}.LICENSE").is_file()


def test_no_other_host_is_named_in_what_pages_load() -> None:
    for path in [*FOLDER.iterdir(), *(FOLDER.parent / "templates").iterdir()]:
        if path.suffix in {".html", ".css"} or path.name in {"console.js", "charts.js"}:
            text = path.read_text(encoding="utf-8")
            assert "://" not in text, path.name
            assert "style=" not in text, path.name
