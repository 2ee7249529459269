import csv
from pathlib import Path

import pytest

from segtrain.runs.metrics_csv import cut_back

COLUMNS = ["step", "IoU/val", "IoU/test", "loss/train"]
WHOLE = b"step,IoU/val,IoU/test,loss/train\r\n20,0.5,,0.4\r\n40,0.6,,0.3\r\n"


def after(path: Path, content: bytes, first_step: int = 41) -> tuple[list[str], str | None]:
    """The steps that are kept, and what is said."""
    path.write_bytes(content)
    columns, problem = cut_back(path, COLUMNS, first_step)
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert columns[: len(COLUMNS)] == COLUMNS
    return [row["step"] for row in rows], problem


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.csv"


@pytest.mark.parametrize(
    ("content", "first_step", "kept"),
    [
        (WHOLE, 41, ["20", "40"]),
        (WHOLE, 40, ["20"]),
        (WHOLE + b"40,,0.55,\r\n", 41, ["20", "40"]),  # the final score, which is written again
        (WHOLE.replace(b"IoU/test", b"IoU_final/val") + b"40,,0.55,\r\n", 41, ["20", "40"]),
        (WHOLE + b"60,0.7,,", 41, ["20", "40"]),  # a kill: what comes after the checkpoint is logged again
        (WHOLE + b"6", 41, ["20", "40"]),
        (WHOLE.replace(b"\r\n", b"\n\n"), 41, ["20", "40"]),
        (b"\xef\xbb\xbf" + WHOLE, 41, ["20", "40"]),  # as some editors save it
        (WHOLE[:34], 41, []),
        (b"", 41, []),
    ],
    ids=[
        "whole",
        "cut",
        "score",
        "on val",
        "half a later row",
        "half a number",
        "blank lines",
        "mark",
        "header",
        "empty",
    ],
)
def test_what_is_whole_is_kept_without_a_word(path: Path, content: bytes, first_step: int, kept: list[str]) -> None:
    assert after(path, content, first_step) == (kept, None)
    assert [file.name for file in path.parent.iterdir()] == ["metrics.csv"]


@pytest.mark.parametrize(
    ("content", "kept", "lines"),
    [
        (b"\0" * 200, [], 1),
        (WHOLE + b"\0" * 100, ["20", "40"], 1),
        (WHOLE + b"\0" * 100 + b"\n", ["20", "40"], 1),
        (WHOLE[:47] + b"\0" * 3 + WHOLE[50:], ["20"], 1),
        (WHOLE[34:], [], 2),
        (b"\0" * 20 + WHOLE[20:], [], 3),
        (WHOLE + b"30,0.5,,", ["20", "40"], 1),
        (WHOLE + b"30,0.5,\xff,1\r\n", ["20", "40"], 1),
        (WHOLE.replace(b"loss", b"l\xf6ss"), [], 3),
        (WHOLE.replace(b",", b";"), [], 3),
        (WHOLE + b"30,0.5\r\n30,0.5,,0.4,0.3\r\nx,0.5,,0.4\r\n-3,,,\r\n", ["20", "40"], 4),
        (b"step,a,a\r\n" + b"20,1,2\r\n", [], 2),
        (WHOLE + b'30,"' + b"9" * 200_000 + b'",,\r\n', ["20", "40"], 1),
    ],
    ids=[
        "zeros",
        "zeros at the end",
        "zeros and a line end",
        "zeros in a row",
        "no header",
        "zeros in the header",
        "half an earlier row",
        "latin-1",
        "latin-1 in the header",
        "semicolons",
        "cells",
        "twice the same column",
        "an endless cell",
    ],
)
def test_what_cannot_be_read_is_said_and_kept_beside(path: Path, content: bytes, kept: list[str], lines: int) -> None:
    steps, problem = after(path, content)
    assert steps == kept
    assert problem is not None
    assert f"{lines} of its lines cannot be read" in problem
    assert "metrics.damaged.csv" in problem
    assert (path.parent / "metrics.damaged.csv").read_bytes() == content


def test_a_second_damage_leaves_the_first_copy_alone(path: Path) -> None:
    after(path, b"\0" * 7)
    _, problem = after(path, b"\0" * 9)
    assert problem is not None
    assert "metrics.damaged_2.csv" in problem
    sizes = {file.name: len(file.read_bytes()) for file in path.parent.glob("*damaged*")}
    assert sizes == {"metrics.damaged.csv": 7, "metrics.damaged_2.csv": 9}


def test_columns_that_are_not_ours_stay(path: Path) -> None:
    path.write_bytes(b"step,mine,IoU/val\r\n20,7,0.5\r\n")
    assert cut_back(path, COLUMNS, 21) == ([*COLUMNS, "mine"], None)
    assert path.read_bytes() == b"step,IoU/val,IoU/test,loss/train,mine\r\n20,0.5,,,7\r\n"
