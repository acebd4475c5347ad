"""All pages: a module of :mod:`presagio.console.routes` that declares ``PAGE`` is one of them."""

import importlib
import pkgutil

from presagio.console import routes
from presagio.console.routing import Page


def find_pages() -> tuple[Page, ...]:
    """Return the pages of all modules, in the order of the menu."""
    found: list[Page] = [
        importlib.import_module(f"{routes.__name__}.{module.name}").PAGE
        for module in pkgutil.iter_modules(routes.__path__)
    ]
    return tuple(sorted(found, key=lambda page: page.menu.order if page.menu else 0))
