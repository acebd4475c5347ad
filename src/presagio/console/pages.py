"""Templates: one environment a language, everything escaped, an unknown name is an error."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from presagio.console.addresses import address
from presagio.console.assets import Assets
from presagio.console.catalogue import LANGUAGES, Catalogue
from presagio.machine.titles import title_in

TEMPLATES = Path(__file__).parent / "templates"


def make_environment() -> Environment:
    """Make an environment without texts: what reads the templates' messages needs no more."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )


class Pages:
    """Renders templates.

    Parameters
    ----------
    catalogues
        The texts of each language.
    assets
        Scripts and styles.
    names
        What every template may name besides what it is handed.
    """

    def __init__(
        self, catalogues: Mapping[str, Catalogue], assets: Assets, **names: object
    ) -> None:
        self._environments = {
            language: self._environment(catalogue, assets, names)
            for language, catalogue in catalogues.items()
        }

    @staticmethod
    def _environment(
        catalogue: Catalogue, assets: Assets, names: Mapping[str, object]
    ) -> Environment:
        environment = make_environment()
        environment.install_gettext_callables(  # type: ignore[attr-defined]
            catalogue.gettext, catalogue.ngettext, newstyle=True
        )
        # For texts in variables: the function for those in templates takes what it gets for safe.
        environment.filters["translated"] = catalogue.gettext
        environment.filters["titled"] = partial(title_in, language=catalogue.language)
        environment.globals |= {
            "address": address, "asset": assets.address, "languages": LANGUAGES, **names,
        }  # fmt: skip
        return environment

    def render(self, template: str, language: str, values: Mapping[str, Any]) -> str:
        """Return a page as HTML."""
        return self._environments[language].get_template(template).render(values)
