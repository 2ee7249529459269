import pytest

from segtrain.report.screen import bars, columns, log_to, say


def test_what_is_said_stands_on_the_screen_and_in_the_log(tmp_path, capsys: pytest.CaptureFixture[str]):
    with log_to(tmp_path / "log.txt"):
        say("mIoU [bold] 0.5")
    say("afterwards")
    assert capsys.readouterr().out == "mIoU [bold] 0.5\nafterwards\n"
    assert (tmp_path / "log.txt").read_text().split(" ", 2)[2] == "mIoU [bold] 0.5\n"


def test_bars_are_as_long_as_their_shares_and_never_vanish():
    assert bars([0.5, 0.25, 0.001, 0.0], width=4) == ["████", "██", "▏", ""]
    assert bars([9, 8], width=1) == ["█", "█"]
    assert bars([0.0]) == [""]
    assert bars([]) == []


def test_columns_are_aligned_by_the_width_that_a_terminal_shows():
    assert columns([("class", "n"), ("道", "10")], {1}) == "class   n\n道     10"
