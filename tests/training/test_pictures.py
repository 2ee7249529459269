import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from segtrain.data import ClassTable
from segtrain.report.pictures import mosaic
from segtrain.training import pictures
from segtrain.training.loggers.event_files import TensorBoard

VOID = 255
CLASSES = ClassTable.from_spec({"ignore": VOID, "classes": [{"name": "a", "color": [9, 9, 9]}, {"name": "b"}]})


def batch_of(images: int, **more: torch.Tensor) -> dict[str, torch.Tensor]:
    """Grey images of 20 x 40 whose red is doubled, with a mask of class 1, and void on its left half."""
    red_doubled = torch.tensor([[2.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])
    mask = torch.full((images, 20, 40), 1, dtype=torch.uint8)
    mask[:, :, :20] = VOID
    return {
        "image": torch.full((images, 3, 20, 40), 100, dtype=torch.uint8),
        "mask": mask,
        "key": torch.arange(images),
        "color": red_doubled.repeat(images, 1, 1),
        **more,
    }


def test_the_first_batch_is_drawn_in_the_colours_that_the_network_sees(tmp_path: Path):
    logger = TensorBoard(tmp_path)
    trainer = SimpleNamespace(loggers=[logger], global_step=0)
    pictures.FirstBatch(tmp_path, CLASSES, ["photo"]).on_train_batch_start(trainer, None, batch_of(1), 0)
    logger.finalize("success")
    with Image.open(tmp_path / "samples/train_batch.png") as file:
        pixels = np.asarray(file)
    colors = set(map(tuple, pixels.reshape(-1, 3).tolist()))
    as_seen = np.array([200, 100, 100])
    halves = {tuple((as_seen / 2).round().astype(int)), tuple(((as_seen + CLASSES.colors[1]) / 2).round().astype(int))}
    assert {tuple(as_seen), tuple(CLASSES.colors[1]), (0, 0, 0)} <= colors  # the image, its mask with void
    assert halves <= colors  # and both
    events = EventAccumulator(str(tmp_path), size_guidance={"images": 0}).Reload()
    (picture,) = events.Images("images/train_batch")
    assert (picture.step, picture.height, picture.width) == (0, *pixels.shape[:2])


def test_of_a_large_batch_six_images_are_drawn(tmp_path: Path):
    trainer = SimpleNamespace(loggers=[], global_step=0)
    shapes = []
    for images in (6, 30):
        folder = tmp_path / str(images)
        folder.mkdir()
        first = pictures.FirstBatch(folder, CLASSES, ["photo"])
        first.on_train_batch_start(trainer, None, batch_of(images), 0)
        with Image.open(first.file) as file:
            shapes.append(file.size)
    assert shapes[0] == shapes[1]


def test_a_run_that_was_killed_in_its_first_step_shows_it_again(tmp_path: Path):
    told = []
    logger = SimpleNamespace(log_picture=lambda tag, picture, step: told.append((tag, picture.tobytes(), step)))
    trainer = SimpleNamespace(loggers=[logger], global_step=0, is_global_zero=True)
    for _ in range(2):
        pictures.FirstBatch(tmp_path, CLASSES, ["photo"]).on_train_batch_start(trainer, None, batch_of(1), 0)
    assert len(told) == 2
    assert told[0] == told[1]


def test_of_a_run_that_goes_on_later_no_first_batch_is_drawn(tmp_path: Path):
    trainer = SimpleNamespace(loggers=[], global_step=7)
    pictures.FirstBatch(tmp_path, CLASSES, ["photo"]).on_train_batch_start(trainer, None, batch_of(1), 7)
    assert list(tmp_path.iterdir()) == []


def test_a_first_batch_that_cannot_be_drawn_ends_no_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "samples").touch()
    trainer = SimpleNamespace(loggers=[], global_step=0)
    pictures.FirstBatch(tmp_path, CLASSES, ["photo"]).on_train_batch_start(trainer, None, batch_of(1), 0)
    assert "the picture images/train_batch could not be drawn (" in capsys.readouterr().out


def test_data_in_another_range_are_seen_as_numbers_beyond_it():
    batch = batch_of(1, image=torch.full((1, 3, 2, 2), 0.75), span=torch.zeros(1))
    assert pictures.seen(batch, 8)[0, :, 0, 0].tolist() == [1.5, 0.75, 0.75]


def test_the_mosaic_shows_the_chosen_images_after_each_validation(tmp_path: Path):
    logger = TensorBoard(tmp_path)
    trainer = SimpleNamespace(loggers=[logger], is_global_zero=True, global_step=7)
    shown = pictures.Mosaic(CLASSES, {1: "b.png", 2: "c.png"})
    prediction, truth, rows = torch.zeros(1, 4, 5, dtype=torch.long), torch.zeros(1, 4, 5, dtype=torch.uint8), []
    for key, name in enumerate(("a.png", "b.png", "c.png", "d.png")):
        image = torch.full((1, 3, 4, 5), 10 * key, dtype=torch.uint8)
        batch = {"image": image, "mask": truth, "key": torch.tensor([key])}
        shown.on_validation_batch_end(trainer, None, prediction, batch)
        rows.append((name, image[0].numpy(), truth[0].numpy(), prediction[0].numpy()))
    shown.on_validation_end(trainer, None)
    logger.finalize("success")
    events = EventAccumulator(str(tmp_path), size_guidance={"images": 0})
    events.Reload()
    (picture,) = events.Images("images/val")
    assert picture.step == 7
    with Image.open(io.BytesIO(picture.encoded_image_string)) as drawn:
        assert (np.asarray(drawn) == np.asarray(mosaic(rows[1:3], CLASSES))).all()


def test_a_picture_that_cannot_be_drawn_ends_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fail(*_: object) -> None:
        raise MemoryError("too large")

    monkeypatch.setattr(pictures, "mosaic", fail)
    trainer = SimpleNamespace(loggers=[TensorBoard(tmp_path)], is_global_zero=True, global_step=7)
    shown = pictures.Mosaic(CLASSES, {0: "a"})
    zeros = torch.zeros(1, 4, 5, dtype=torch.uint8)
    shown.on_validation_batch_end(trainer, None, zeros, {"image": zeros[None], "mask": zeros, "key": torch.zeros(1)})
    shown.on_validation_end(trainer, None)
    assert "could not be drawn (MemoryError: too large)" in capsys.readouterr().out


def test_the_curves_of_classes_of_a_run_that_goes_on_are_those_of_one_that_did_not(tmp_path: Path):
    scores = {10: torch.tensor([[1, 3], [0, 0]]), 20: torch.tensor([[3, 1], [2, 4]])}
    whole, part = tmp_path / "whole.csv", tmp_path / "part.csv"
    part.write_text("step,IoU/val,IoU_class/val/a,IoU_class/val/b,loss/train\n5,,,,0.5\n10,0.125,0.25,0.0,\n")
    drawn = []
    for file, steps in ((whole, [10, 20]), (part, [20])):
        shown: list[np.ndarray] = []
        logger = SimpleNamespace(log_picture=lambda tag, picture, step, shown=shown: shown.append(picture))
        trainer = SimpleNamespace(loggers=[logger], is_global_zero=True)
        curves = pictures.ClassCurves(file, CLASSES)
        curves.on_train_start(trainer, None)
        for step in steps:
            trainer.global_step = step
            curves.on_validation_end(trainer, SimpleNamespace(matrix=scores[step]))
        drawn.append(shown[-1])
    assert (drawn[0] == drawn[1]).all()


def test_a_class_that_did_not_occur_has_no_score_in_a_row():
    rows = [
        {"step": "3", "IoU/val": "0.5", "IoU_class/val/a": "0.5", "IoU_class/val/b": ""},
        {"step": "4", "IoU/val": ""},
    ]
    logged = pictures.logged_iou(rows, ["a", "b"])
    assert list(logged) == [3]
    assert logged[3][0] == 0.5
    assert np.isnan(logged[3][1])
