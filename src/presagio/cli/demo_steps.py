"""How the demonstration speaks: numbered steps with lines of text, or an object of JSON a line."""

from typing import Any

from presagio.cli.output import print_json, say


class Steps:
    """Prints what happens, step by step.

    Parameters
    ----------
    as_json
        Whether to print one object a line in the place of text.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json, self._number, self._title = as_json, 0, ""

    def begin(self, title: str) -> None:
        """Begin the next step."""
        self._number, self._title = self._number + 1, title
        if not self.as_json:
            say(f"\n{self._number}. {title}", style="bold")

    def show(self, event: str, text: str, *, style: str = "", **fields: Any) -> None:
        """Print what happened in this step.

        Parameters
        ----------
        event
            What it is called in JSON.
        text
            For people: indented, one line or several.
        style
            How text looks on a terminal.
        fields
            For programs.
        """
        if self.as_json:
            print_json({"step": self._number, "event": event, **fields})
        else:
            say("\n".join(f"   {line}" for line in text.split("\n")), style=style)
