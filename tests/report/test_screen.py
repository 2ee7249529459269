import io
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout

import pytest
from rich.console import Console

from segtrain.report import screen
from segtrain.report.screen import COMMAND, Countdown, bars, clock, columns, counted_down, folded, log_to, say


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


def test_no_word_is_broken_at_the_edge_of_a_terminal():
    assert folded("one two three four", 11) == "one two\n    three\n    four"
    assert folded("short\nlines", 5) == "short\nlines"
    path = "runs/" + "x" * 30
    assert folded(f"written: {path} and more", 20) == f"written:\n    {path}\n    and more"


def test_a_field_stays_with_its_number():
    assert folded("epoch 1.0  step 6/30  loss 1.7652", 24) == "epoch 1.0  step 6/30\n    loss 1.7652"


def test_a_command_stays_in_one_piece_to_be_copied():
    line = f"stopped; go on: {COMMAND} train resume=runs/some"
    assert folded(line, 20) == line
    assert folded("watch it: tensorboard --logdir runs/some", 20) == "watch it: tensorboard --logdir runs/some"


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still; its only item may be changed."""
    now = [0.0]
    monkeypatch.setattr(screen.time, "monotonic", lambda: now[0])
    return now


def test_without_a_terminal_lines_come_at_gaps_that_grow(seconds: list[float], capsys: pytest.CaptureFixture[str]):
    for _ in counted_down("predicting", range(5000)):
        seconds[0] += 0.125
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["predicting: 80 of 5,000, 10:15 left", "predicting: 240 of 5,000, 9:55 left"]
    assert len(lines) == 5  # after 10, 30, 70, 150 and 310 seconds; the next would come after 630, and it takes 625
    assert "predicting: 2,480 of 5,000, 5:15 left" in lines


def test_what_is_short_says_nothing(seconds: list[float], capsys: pytest.CaptureFixture[str]):
    assert list(counted_down("counting", "abc")) == ["a", "b", "c"]
    for _ in counted_down("counting", "abc"):
        seconds[0] += 3
    assert capsys.readouterr().out == ""


def test_what_was_known_before_is_no_sign_of_speed(seconds: list[float], capsys: pytest.CaptureFixture[str]):
    with Countdown("reading", 1000) as countdown:
        countdown.advance(900)
        seconds[0] = 20
        countdown.advance()
    assert capsys.readouterr().out == "reading: 901 of 1,000, 33:00 left\n"


def test_on_a_terminal_there_is_a_bar_and_no_line(seconds: list[float], monkeypatch: pytest.MonkeyPatch):
    console = Console(force_terminal=True, width=100, record=True, file=io.StringIO())
    monkeypatch.setattr(screen, "console", console)
    for _ in counted_down("predicting", range(4)):
        seconds[0] += 60
    text = console.export_text()
    assert "4/4" in text
    assert "left" not in text


def test_a_bar_shows_the_time_left_of_what_is_slow_too(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    console = Console(force_terminal=True, width=100, record=True, file=io.StringIO(), get_time=lambda: now[0])
    monkeypatch.setattr(screen, "console", console)
    with Countdown("predicting", 5) as countdown:
        for _ in range(3):
            now[0] += 120
            countdown.advance()
        countdown.bar.refresh()
    assert "3/5 0:04:00" in console.export_text()


def test_without_a_terminal_a_line_says_what_takes_long_while_others_are_held_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    with screen.working("writing a file"):
        pass
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(screen, "FIRST_GAP", 0.01)
    held_back = io.StringIO()
    with screen.working("writing a file"), redirect_stdout(held_back):
        wait_for(lambda: "writing" in held_back.getvalue() + capsys.readouterr().out)
    assert held_back.getvalue() == ""


def test_on_a_terminal_a_bar_shows_the_time_that_went_by_while_others_are_held_back(monkeypatch: pytest.MonkeyPatch):
    terminal, held_back = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(screen, "console", screen.Screen(force_terminal=True, width=100))
    with screen.working("writing a file"), redirect_stdout(held_back):
        wait_for(lambda: "0:00:01" in terminal.getvalue())
    assert "writing a file" in terminal.getvalue()
    assert held_back.getvalue() == ""


def wait_for(met: Callable[[], bool]) -> None:
    """Fails if it is not within ten seconds."""
    end = time.monotonic() + 10
    while not met():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_time_has_hours_only_where_it_needs_them():
    assert [clock(0.4), clock(83), clock(3683)] == ["0:00", "1:23", "1:01:23"]


def test_a_part_of_a_long_one_counts_in_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    now = [0.0]
    monkeypatch.setattr(screen.time, "monotonic", lambda: now[0])
    with screen.Countdown("predicting", 2) as countdown:
        for seconds, share in ((5, 0.125), (20, 0.5), (21, 0.525), (40, 1.0)):
            now[0] = float(seconds)
            countdown.part(share)
        countdown.advance()
        now[0] = 60.0
        countdown.advance()
    assert capsys.readouterr().out.splitlines() == [
        "predicting: 0 of 2 and 50 % of the next, 1:00 left",
        "predicting: 1 of 2, 0:40 left",
    ]


def test_of_several_that_are_done_together_the_last_ones_count_too(
    seconds: list[float], capsys: pytest.CaptureFixture[str]
):
    with Countdown("scoring", 8) as countdown:
        seconds[0] = 10
        countdown.part(2.5)
        countdown.part(4)
        seconds[0] = 30
        countdown.done += 4
        countdown.part(1)
    assert capsys.readouterr().out.splitlines() == [
        "scoring: 2 of 8 and 50 % of the next, 0:22 left",
        "scoring: 5 of 8, 0:18 left",
    ]
