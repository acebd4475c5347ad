import stat
from pathlib import Path

from presagio.stack.layout import Layout


def test_others_can_pass_through_the_home_but_not_look_into_it(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "home")
    layout.create()
    layout.create()
    assert stat.S_IMODE(layout.home.stat().st_mode) == 0o711
    assert stat.S_IMODE(layout.logs.stat().st_mode) == 0o700
    assert stat.S_IMODE(layout.objects.stat().st_mode) == 0o700


def test_the_tail_of_a_log(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.create()
    assert layout.log_tail("api") == ""
    layout.log("api").write_bytes(b"1\n2\n\xff3\n")
    assert layout.log_tail("api", lines=2) == "2\n\ufffd3"
