import json
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from segtrain.training import learner
from tests.commands.conftest import TINY


class Interruption(Exception):
    """Stands for a power cut."""


BLOCK, HEADER, FILE_HEADER = 32_768, 7, 7  # bytes: LevelDB's log format behind a few of W&B's own
FULL, FIRST, LAST = 1, 2, 4


def records(content: bytes) -> Iterator[bytes]:
    """What the pieces in a file of W&B's make up: each has a checksum, a length, and its place in a record."""
    at, record = FILE_HEADER, b""
    while at + HEADER <= len(content):
        if BLOCK - at % BLOCK < HEADER:  # no piece begins in what is left of a block
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        piece = content[at + HEADER : at + HEADER + length]
        record = piece if kind in (FULL, FIRST) else record + piece
        at += HEADER + length
        if kind in (FULL, LAST):
            yield record


def whole(file: Path) -> list[Any]:
    """The records of an offline run that is over; W&B's service may write the last ones after `finish` has returned."""
    from wandb.proto.wandb_internal_pb2 import Record

    for _ in range(300):
        found = [Record.FromString(content) for content in records(file.read_bytes())]
        if found and found[-1].WhichOneof("record_type") == "exit":
            return found
        time.sleep(0.1)
    raise TimeoutError(f"{file} has no end")


def history(file: Path) -> Iterator[dict[str, object]]:
    """The rows that an offline run of W&B's has written."""
    for record in whole(file):
        if record.WhichOneof("record_type") == "history":
            yield {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}


@pytest.mark.slow
def test_a_run_that_goes_on_is_the_same_run_of_wandbs_and_repeats_no_point(
    segtrain: Callable[..., int], monkeypatch: pytest.MonkeyPatch
):
    wandb = pytest.importorskip("wandb")
    training_step = learner.Learner.training_step

    def failing(self: learner.Learner, *args: object, **kwargs: object) -> None:
        if self.trainer.global_step == 5:
            raise Interruption
        training_step(self, *args, **kwargs)

    words = [*TINY, "logger=wandb", "logger.offline=true", "train.save_minutes=1e9"]
    with monkeypatch.context() as patch:
        patch.setattr(learner.Learner, "training_step", failing)
        patch.setattr("segtrain.training.checkpoint.Checkpoint.on_exception", lambda *_: None)
        assert segtrain("train", *words, "run_dir=run") == 1
    wandb.finish()
    assert segtrain("train", "resume=run", "logger=wandb", "logger.offline=true") == 0
    wandb.finish()
    files = sorted(Path("runs/wandb").glob("offline-run-*/*.wandb"))
    assert len({file.name for file in files}) == 1  # both are of one run
    points = Counter[tuple[str, object]]()
    for row in chain.from_iterable(map(history, files)):
        tags = {tag.partition(".")[0] for tag in row if not tag.startswith(("_", "trainer/"))}
        points.update((tag, row["trainer/global_step"]) for tag in tags)
    assert set(points.values()) == {1}
    steps: dict[str, list[object]] = {}
    for tag, step in points:
        steps.setdefault(tag, []).append(step)
    assert (steps["loss/train"], steps["IoU/val"], steps["IoU/test"]) == ([2, 4, 6, 8], [3, 6, 8], [8])
    assert (steps["images/val"], steps["images/train_batch"]) == ([3, 6, 8], [0])
