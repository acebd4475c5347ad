"""A table of a machine spec: immutable, with no other fields than it names."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from presagio.machine.titles import Title

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class SpecTable(BaseModel):
    """A table; numbers in it are finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NamedTable(SpecTable):
    """A table of something with a name, and a title for people: a text, or one by language."""

    name: Name
    title: Title = ""
