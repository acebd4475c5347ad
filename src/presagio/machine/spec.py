"""The machine spec: one TOML file that says what a machine's readings are."""

import hashlib
import tomllib
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from presagio.errors import InvalidSpecError
from presagio.machine.spec_checks import CheckedColumns
from presagio.machine.spec_faults import describe_faults
from presagio.sentences import English, Listed, Sentence

# The one that ships with Presagio, with data, a generator and a trained model.
DEFAULT_SPEC = "ai4i2020"


class MachineSpec(CheckedColumns):
    """A machine's readings: features, categories, labels, derived quantities, limits."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what the spec says, however its file is written."""
        content = self.model_dump_json(exclude_defaults=True)
        return hashlib.sha256(content.encode()).hexdigest()

    @cached_property
    def example(self) -> dict[str, float | bool]:
        """Return one reading with every input, from the examples in the spec."""
        values: dict[str, float | bool] = {f.name: f.typical for f in self.features}
        for category in self.categories:
            for value, indicator in category.indicators.items():
                values[indicator] = value == category.example
        return values


def load_spec(source: str | Path = DEFAULT_SPEC) -> MachineSpec:
    """Load a machine spec.

    Parameters
    ----------
    source
        The name of a spec that ships with Presagio, or the path of a TOML file.

    Returns
    -------
    MachineSpec
        The validated, immutable spec.

    Raises
    ------
    InvalidSpecError
        If the file is missing, is no TOML, or contradicts itself.
    """
    path = Path(source)
    try:
        if path.suffix == ".toml":
            text = path.read_bytes()
        else:
            text = (files(__package__) / "specs" / f"{source}.toml").read_bytes()
    except OSError as err:
        raise InvalidSpecError(
            Sentence(
                "machine spec %(source)s cannot be read (%(why)s); give the name of a spec that "
                "ships with Presagio (ai4i2020) or the path of a .toml file",
                {"source": str(source), "why": English(err.strerror or str(err))},
            )
        ) from err
    return parse_spec(text, str(source))


def parse_spec(text: bytes, source: str | Sentence) -> MachineSpec:
    """Make a machine spec of the bytes of a TOML file.

    Parameters
    ----------
    text
        The file.
    source
        What it is called in messages.

    Raises
    ------
    InvalidSpecError
        If it is no TOML, or contradicts itself.
    """
    try:
        decoded = text.decode()
        return MachineSpec.model_validate(tomllib.loads(decoded))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as err:
        raise InvalidSpecError(
            Sentence(
                "machine spec %(source)s is no TOML: %(why)s",
                {"source": source, "why": English(str(err))},
            )
        ) from err
    except ValidationError as err:
        faults = tuple(describe_faults(err, decoded))
        raise InvalidSpecError(
            Sentence(
                "machine spec %(source)s is not valid:\n  %(faults)s",
                {"source": source, "faults": Listed(faults, "\n  ")},
            ),
            faults,
        ) from err
