import pytest

from segtrain.report.screen import COMMAND, bars, columns, folded, log_to, say


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
