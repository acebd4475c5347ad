"""Where in the text of a machine spec a table or a key stands, for messages."""

import re
from collections.abc import Iterator, Sequence

Place = tuple[str | int, ...]
_TABLE = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.-]+)\s*\]")
_KEY = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")


class SpecLines:
    """The lines of a TOML file by what stands on them.

    Good enough for messages: keys that are quoted or dotted, and tables within a line, are found by
    the table around them.

    Parameters
    ----------
    text
        The file.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines: dict[Place, int] = {}
        self._tables: dict[Place, int] = {}
        inside: Place = ()
        for number, line in enumerate(text.splitlines(), 1):
            if (table := _TABLE.match(line)) is not None:
                inside = self._enter(table[2].split("."), is_list=table[1] == "[[")
                self._lines[inside] = number
            elif (key := _KEY.match(line)) is not None:
                self._lines.setdefault((*inside, key[1]), number)

    def _enter(self, names: Sequence[str], *, is_list: bool) -> Place:
        place: Place = ()
        for i, name in enumerate(names):
            place = (*place, name)
            if is_list and i == len(names) - 1:
                self._tables[place] = self._tables.get(place, -1) + 1
            if place in self._tables:
                place = (*place, self._tables[place])
        return place

    def of(self, place: Sequence[str | int], message: str = "") -> int | None:
        """Return the line of a place, or of the nearest table around it.

        Parameters
        ----------
        place
            Keys and positions, as pydantic names them; empty for the spec as a whole.
        message
            What is said of it: the first name that it quotes is looked for where nothing else is.
        """
        for length in range(len(place), 0, -1):
            if (line := self._lines.get(tuple(place[:length]))) is not None:
                return line
        return next(self._quoted(message), None)

    def _quoted(self, message: str) -> Iterator[int]:
        for name in re.findall(r"'([a-z][a-z0-9_]*)'", message):
            for number, line in enumerate(self._text.splitlines(), 1):
                if f'"{name}"' in line:
                    yield number
