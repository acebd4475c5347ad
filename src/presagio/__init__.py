"""Presagio predicts machine failures before they happen."""

from importlib.metadata import version

__version__ = version("presagio")
