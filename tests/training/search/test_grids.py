from presagio.settings import Settings
from presagio.training.search.grids import GRIDS, REFERENCE_GRID, grid_name, parameter_points


def test_the_reference_model_is_linear() -> None:
    points = list(parameter_points(REFERENCE_GRID))
    assert [(point["kernel"], point["C"]) for point in points] == [
        ("linear", 0.01), ("linear", 0.11), ("linear", 10.0),
    ]  # fmt: skip


def test_the_small_grid_is_a_small_part_of_the_full_one() -> None:
    full, small = (list(parameter_points(GRIDS[name])) for name in ("full", "small"))
    assert len(small) <= len(full) / 4
    assert all(point in full for point in small)


def test_every_grid_that_the_setting_allows_is_there() -> None:
    allowed = Settings.model_fields["train_search"].annotation
    assert set(allowed.__args__) == set(GRIDS)  # type: ignore[union-attr]
    assert Settings.model_fields["train_search"].default == "full"


def test_a_grid_of_ones_own_is_called_custom() -> None:
    assert grid_name(GRIDS["full"]) == "full"
    assert grid_name([{"kernel": ["linear"], "C": [3.0]}]) == "custom"
