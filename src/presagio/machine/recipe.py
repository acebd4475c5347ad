"""The constants that readings are generated from."""

from presagio.machine.spec_table import SpecTable


class Normal(SpecTable):
    """Mean and standard deviation, in the unit of what they describe."""

    mean: float
    sd: float


class SimulationRecipe(SpecTable):
    """Constants of the generator (see :mod:`presagio.machine.simulation`)."""

    block_rows: int
    air_temperature: Normal
    process_offset: Normal
    torque: Normal
    speed_log_polynomial: tuple[float, ...]
    speed_log_sd: float
    speed_torque_floor: float
    shares: dict[str, float]
    wear_step: dict[str, float]
    tool_life: tuple[float, float]
    tool_failure_share: float
    random_failure_rate: float
