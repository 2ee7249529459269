import csv
import io
import json
import os
import re
import shlex
import signal
import weakref
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from segtrain.build import conf_folder
from segtrain.commands import train
from segtrain.report import screen
from segtrain.report.screen import Countdown
from segtrain.runs import trained as runs_trained
from segtrain.runs.correction import LOSS, Correction
from segtrain.scoring import scorer
from segtrain.training import callbacks, fit, learner
from tests.commands.conftest import TINY
from tests.commands.test_evaluate import ON_FOLDERS, write_folder

Run = Callable[..., int]
Weights = Callable[..., dict[str, torch.Tensor]]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def scalars(run: str) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(run, size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_a_run_folder_holds_what_the_contract_says(segtrain: Run, capsys: pytest.CaptureFixture[str]):
    assert segtrain("train", *TINY, "train.ema=0.9") == 0
    (run,) = Path("runs/shapes-fcn_tiny").iterdir()
    assert Path("runs/latest").read_text() == f"{run.relative_to('runs').as_posix()}\n"
    files = {p.relative_to(run).as_posix() for p in run.rglob("*") if p.is_file()}
    events = {name for name in files if name.startswith("events.out.tfevents")}
    assert events
    assert files - events == {
        "config.yaml",
        "overrides.txt",
        ".lock",
        "environment.json",
        "metrics.csv",
        "log.txt",
        "samples/train_batch.png",
        *(f"checkpoints/{name}.ckpt" for name in ("best", "last", "previous")),
        *(f"evaluate/test/{name}" for name in ("metrics.json", "confusion.csv", "confusion.png")),
        *(f"evaluate/test/{name}" for name in ("per_image.csv", "per_image.npz")),
        *(f"evaluate/test/report.{kind}" for kind in ("html", "md", "json")),
        "evaluate/test/label_problems.csv",
    }
    assert yaml.safe_load((run / "config.yaml").read_text())["train"]["ema"] == 0.9
    assert (run / "overrides.txt").read_text().splitlines() == [*TINY, "train.ema=0.9"]
    assert json.loads((run / "environment.json").read_text())["torch"] == version("torch")
    out = capsys.readouterr().out
    assert "12 train, 3 val, 3 test images, 6 classes" in out
    assert "cpu, 32-true (as typed); batch 4 of 32 x 32; 8 steps" in out
    assert f"tensorboard --logdir {run}" in out
    assert f"python -m segtrain predict run={run}" in out
    assert "triangle" in out


@pytest.mark.slow
def test_curves_have_the_same_tags_and_points_in_tensorboard_and_csv(segtrain: Run):
    segtrain("train", *TINY, "run_dir=run")
    points = scalars("run")
    assert {"IoU/val", "IoU_crops/train", "IoU_final/test", "loss/train", "loss/val", "optim/lr"} <= points.keys()
    assert {"speed/images_per_second", "speed/data_wait", "IoU_class/val/background"} <= points.keys()
    assert all(0 < share < 1 for _, share in points["speed/data_wait"])
    assert [step for step, _ in points["IoU/val"]] == [3, 6, 8]
    assert [step for step, _ in points["loss/train"]] == [2, 4, 6, 8]
    assert min(points) == "IoU/val"
    columns = {"IoU_crops/train": "IoU/train", "IoU_final/test": "IoU/test"}
    with open("run/metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for tag, values in points.items():
        column = columns.get(tag, tag)
        stored = [(int(row["step"]), float(row[column])) for row in rows if row[column]]
        assert stored == [(step, pytest.approx(value, rel=1e-6)) for step, value in values], tag


PICTURES = ["IoU_per_class", "confusion", "train_batch", "val"]


@pytest.mark.slow
def test_without_tensorboard_the_table_and_the_pictures_are_still_written(
    segtrain: Run, capsys: pytest.CaptureFixture[str]
):
    assert segtrain("train", *TINY, "logger=csv", "run_dir=run") == 0
    assert sorted(path.stem for path in Path("run/samples").iterdir()) == PICTURES
    assert "IoU/test" in Path("run/metrics.csv").read_text()
    assert not list(Path("run").glob("events*"))
    assert "watch it" not in capsys.readouterr().out
    assert segtrain("train", "resume=run", "train.steps=9", "allow_changes=true") == 0
    out = capsys.readouterr().out
    assert "this run was begun with logger=csv: type that too to go on with its curves there" in out
    assert "watch it" in out


@pytest.mark.slow
def test_what_is_computed_before_the_first_step_and_after_the_last_is_named_while_it_lasts(
    segtrain: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    named: list[str] = []

    class Noted(Countdown):
        def __init__(self, what: str, *args: Any, **options: Any) -> None:
            named.append(what)
            super().__init__(what, *args, **options)

    monkeypatch.setattr(callbacks, "Countdown", Noted)
    monkeypatch.setattr(screen, "FIRST_GAP", 0)
    assert segtrain("train", *TINY, "data.val=6", "run_dir=run") == 0
    out = capsys.readouterr().out
    for what in ("measuring images", "counting pixels of classes"):
        assert f"{what}: 11 of 12, 0:00 left" in out
    assert named == ["training", "fitting the prior correction", "fitting the temperature", "scoring test"]
    assert segtrain("evaluate", "run=run", "split=val") == 0
    assert named[4:] == ["scoring val"]


@pytest.mark.slow
def test_the_final_score_is_that_of_the_best_checkpoint(segtrain: Run):
    segtrain("train", *TINY, "run_dir=run")
    best = torch.load("run/checkpoints/best.ckpt", weights_only=True)
    state = best["callbacks"]["Checkpoint"]
    points = dict(scalars("run")["IoU/val"])
    assert state["best"] == pytest.approx(max(points.values()), rel=1e-6)
    assert points[state["best_step"]] == max(points.values())
    stored = json.loads(Path("run/evaluate/test/metrics.json").read_text())
    assert dict(scalars("run")["IoU_final/test"])[8] == pytest.approx(stored["miou"], rel=1e-6)


@pytest.mark.slow
def test_one_seed_gives_one_network_whatever_the_workers(segtrain: Run, weights: Weights):
    for name, words in {"a": [], "b": [], "c": ["data.workers=2"], "d": ["seed=1"]}.items():
        assert segtrain("train", *TINY, "train.ema=0.9", f"run_dir={name}", *words) == 0
    assert same(weights("a"), weights("b"))
    assert same(weights("a"), weights("c"))
    assert not same(weights("a"), weights("d"))


class Interruption(Exception):
    """Stands for a power cut."""


def interrupt_in_step(patch: pytest.MonkeyPatch, number: int) -> None:
    """Have the training be interrupted when it begins this step."""
    step = learner.Learner.training_step

    def failing(self: learner.Learner, *args: object, **kwargs: object) -> None:
        if self.trainer.global_step == number:
            raise Interruption
        step(self, *args, **kwargs)

    patch.setattr(learner.Learner, "training_step", failing)


CRAFT = [
    "trainer.accumulate_grad_batches=2",
    "train.freeze_encoder=1.6 train.encoder_lr=0.5",  # of eight steps, the first five
    "train.patience=1 optimizer.lr=0.2 seed=4 loss=cross_entropy",  # which is too much: it ends after six
    "teacher=first",
]


@pytest.mark.parametrize("at", [2, *(pytest.param(at, marks=pytest.mark.slow) for at in (3, 4, 7))])
@pytest.mark.parametrize("craft", ["", *(pytest.param(words, marks=pytest.mark.slow) for words in CRAFT)])
def test_a_resumed_run_ends_as_if_it_had_never_stopped(
    segtrain: Run, weights: Weights, monkeypatch: pytest.MonkeyPatch, at: int, craft: str
):
    words = [*TINY, "train.ema=0.9", "train.save_minutes=0", *craft.split()]
    if "teacher=first" in words:
        segtrain("train", *TINY, "run_dir=first")
    segtrain("train", *words, "run_dir=whole")
    steps = torch.load("whole/checkpoints/last.ckpt", weights_only=True)["global_step"]
    assert steps == (6 if "patience" in craft else 8)
    with monkeypatch.context() as patch:
        interrupt_in_step(patch, at)
        assert segtrain("train", *words, "run_dir=part") == (1 if at < steps else 0)
    assert segtrain("train", "resume=part") == 0
    assert same(weights("whole"), weights("part"))
    assert same(weights("whole", "best"), weights("part", "best"))
    whole, part = (json.loads(Path(f"{run}/evaluate/test/metrics.json").read_text()) for run in ("whole", "part"))
    assert whole == part


@pytest.mark.slow
def test_a_fold_that_is_resumed_ends_as_if_it_had_never_stopped(
    segtrain: Run, weights: Weights, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    write_folder(Path("photos"), 2)
    words = [*ON_FOLDERS, "data.root=photos", "data.folds=3", "data.fold=1", "train.save_minutes=0"]
    assert segtrain("train", *words, "run_dir=whole") == 0
    assert "training photos-fcn_tiny: fold 1 of 3: 4 train, 2 val images" in capsys.readouterr().out
    with monkeypatch.context() as patch:
        interrupt_in_step(patch, 5)
        assert segtrain("train", *words, "run_dir=part") == 1
    assert segtrain("train", "resume=part", "data.fold=2") == 2
    assert "data.fold=2 would change the result of a run that began with data.fold=1" in capsys.readouterr().err
    assert segtrain("train", "resume=part") == 0
    assert "going on with photos-fcn_tiny: fold 1 of 3: 4 train, 2 val images" in capsys.readouterr().out
    assert same(weights("whole"), weights("part"))
    assert same(weights("whole", "best"), weights("part", "best"))
    whole, part = (json.loads(Path(f"{run}/evaluate/val/metrics.json").read_text()) for run in ("whole", "part"))
    assert whole == part


@pytest.mark.slow
def test_a_resumed_run_repeats_no_point_of_its_curves(segtrain: Run, monkeypatch: pytest.MonkeyPatch):
    words = [*TINY, "train.log_steps=1", "data.workers=0"]
    segtrain("train", *words, "run_dir=whole")
    with monkeypatch.context() as patch:
        interrupt_in_step(patch, 5)  # the last save was after step 3
        segtrain("train", *words, "run_dir=part")
    segtrain("train", "resume=part")
    whole, part = scalars("whole"), scalars("part")
    for tag in ("loss/train", "loss/val", "IoU/val", "IoU_crops/train", "optim/lr"):
        assert whole[tag] == part[tag], tag
    with open("whole/metrics.csv") as one, open("part/metrics.csv") as other:
        assert [row.split(",")[:3] for row in one] == [row.split(",")[:3] for row in other]


@pytest.mark.slow
def test_pictures_in_files_are_tensorboards_last_ones_of_a_run_that_never_stopped(
    segtrain: Run, monkeypatch: pytest.MonkeyPatch
):
    segtrain("train", *TINY, "run_dir=whole")
    with monkeypatch.context() as patch:
        interrupt_in_step(patch, 5)
        segtrain("train", *TINY, "logger=csv", "run_dir=part")
    assert segtrain("train", "resume=part", "logger=csv") == 0
    events = EventAccumulator("whole", size_guidance={"images": 0}).Reload()
    assert sorted(events.Tags()["images"]) == [f"images/{name}" for name in PICTURES]
    for name in PICTURES:
        encoded = events.Images(f"images/{name}")[-1].encoded_image_string
        with Image.open(f"part/samples/{name}.png") as file, Image.open(io.BytesIO(encoded)) as shown:
            assert (np.asarray(file) == np.asarray(shown)).all(), name


@pytest.mark.slow
def test_more_epochs_go_on_from_a_finished_run_only_if_allowed(segtrain: Run, capsys: pytest.CaptureFixture[str]):
    segtrain("train", *TINY, "run_dir=run")
    capsys.readouterr()
    assert segtrain("train", "resume=run", "train.steps=10") == 2
    assert "train.steps=10 would change the result of a run that began with train.steps=8" in capsys.readouterr().err
    assert segtrain("train", "resume=run", "train.steps=10", "allow_changes=true") == 0
    assert [step for step, _ in scalars("run")["loss/train"]][-1] == 10


@pytest.mark.slow
def test_points_fall_on_whole_steps_whatever_the_pieces(segtrain: Run):
    segtrain(
        "train", *TINY, "run_dir=run", "data.batch_size=12", "trainer.accumulate_grad_batches=6", "train.log_steps=1"
    )
    assert [step for step, _ in scalars("run")["loss/train"]] == list(range(1, 9))


@pytest.mark.slow
def test_clipping_can_be_turned_off_by_zero(segtrain: Run, weights: Weights):
    for value in ("0", "null"):
        segtrain("train", *TINY, f"run_dir=clip{value}", f"trainer.gradient_clip_val={value}")
    assert same(weights("clip0"), weights("clipnull"))


def test_a_diverged_network_ends_in_one_line(segtrain: Run, capsys: pytest.CaptureFixture[str]):
    assert segtrain("train", *TINY, "optimizer=sgd", "optimizer.lr=1e30", "trainer.gradient_clip_val=null") == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "not finite" in err


@pytest.mark.slow
def test_resuming_a_finished_run_says_so_and_changes_nothing(segtrain: Run, capsys: pytest.CaptureFixture[str]):
    segtrain("train", *TINY, "run_dir=run")
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    capsys.readouterr()
    assert segtrain("train", "resume=run") == 0
    assert "run is finished: nothing is changed" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()} == before


@pytest.mark.slow
@pytest.mark.parametrize("at", ["store_fitted", "report_score"])
def test_a_run_that_is_stopped_around_its_correction_ends_as_if_it_had_not(
    segtrain: Run, weights: Weights, monkeypatch: pytest.MonkeyPatch, at: str
):
    found = Correction(0.5, LOSS, (-9.0, 0.0, 0.0, 0.0, 0.0, 9.0), 0.25, 0.5)
    monkeypatch.setattr(fit, "fit_correction", lambda *_: found)
    segtrain("train", *TINY, "run_dir=whole")

    def failing(*_: object) -> None:
        raise Interruption

    with monkeypatch.context() as patch:
        patch.setattr(fit, at, failing)
        assert segtrain("train", *TINY, "run_dir=part") == 1
    assert segtrain("train", "resume=part") == 0
    for run in ("whole", "part"):
        content = torch.load(f"{run}/checkpoints/best.ckpt", weights_only=True)
        assert json.loads(content["segtrain"]["record"])["correction"]["share"] == 0.5
    assert same(weights("whole", "best"), weights("part", "best"))
    whole, part = (Path(f"{run}/evaluate/test/metrics.json").read_text() for run in ("whole", "part"))
    assert whole == part
    before = {path: path.read_bytes() for path in Path("part").rglob("*") if path.is_file()}
    assert segtrain("train", "resume=part") == 0
    assert {path: path.read_bytes() for path in Path("part").rglob("*") if path.is_file()} == before

    monkeypatch.setattr(fit, "fit_correction", lambda *_: None)  # longer, the same network may do without
    assert segtrain("train", "resume=part", "train.steps=9", "allow_changes=true") == 0
    content = torch.load("part/checkpoints/best.ckpt", weights_only=True)
    assert json.loads(content["segtrain"]["record"])["correction"] is None


@pytest.mark.slow
def test_a_run_that_is_stopped_while_its_report_is_written_is_scored_when_it_goes_on(
    segtrain: Run, monkeypatch: pytest.MonkeyPatch
):
    def failing(*_: object) -> None:
        raise Interruption

    with monkeypatch.context() as patch:
        patch.setattr(scorer, "report_or_say", failing)
        assert segtrain("train", *TINY, "run_dir=run") == 1
    score = Path("run/evaluate/test")
    assert (score / "per_image.npz").exists()
    assert not (score / "metrics.json").exists()
    assert segtrain("train", "resume=run") == 0
    assert (score / "report.html").exists()
    assert (score / "metrics.json").exists()


@pytest.mark.slow
def test_init_takes_weights_over_and_names_what_does_not_fit(segtrain: Run, capsys: pytest.CaptureFixture[str]):
    segtrain("train", *TINY, "run_dir=first")
    trained = runs_trained.load("first").state_dict()
    capsys.readouterr()
    still = ["train.steps=1", "optimizer.lr=0", "optimizer.weight_decay=0"]
    assert segtrain("train", *TINY, "init=first", "run_dir=second", *still, "model.widths=[8,8,8,6]") == 0
    said = capsys.readouterr().out
    assert "fresh: " in said
    assert "decoder.score.weight" in said.split("fresh: ")[1]
    new = torch.load("second/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert torch.equal(new["network.encoder.stem.0.weight"], trained["encoder.stem.0.weight"])


@pytest.mark.slow
def test_init_takes_what_scores_a_class_over_by_its_name(segtrain: Run, capsys: pytest.CaptureFixture[str]):
    words = ["model.encoder.widths=[8,8,16,16]", "train.steps=1", "optimizer.lr=0", "optimizer.weight_decay=0"]
    write_folder(Path("photos"), 3)
    segtrain("train", *ON_FOLDERS, *words, "data.root=photos", "run_dir=first")
    Path("photos/classes.yaml").write_text("classes: [{name: c2}, {name: other}, {name: c0}]\n")
    capsys.readouterr()
    assert segtrain("train", *ON_FOLDERS, *words, "data.root=photos", "init=first", "run_dir=second") == 0
    said = "of the classes, c2, c0 are taken over by name; what scores other begins anew (there: c0, c1, c2)"
    assert said in capsys.readouterr().out
    bias = [runs_trained.load(run).get_parameter("decoder.score.bias") for run in ("first", "second")]
    assert torch.equal(bias[1][[0, 2]], bias[0][[2, 0]])
    assert bias[1][1] == 0


@pytest.mark.slow
def test_init_from_another_architecture_is_refused(segtrain: Run, capsys: pytest.CaptureFixture[str]):
    segtrain("train", *TINY, "run_dir=first")
    other = ["model.encoder.stem_width=12", "model.encoder.widths=[12,12,12,12]", "model.widths=[4,4,4,4]"]
    # one tensor alone has the same shape in both: the bilinear up-sampling of the scores
    segtrain("train", *TINY, "init=first", "run_dir=second", *other)
    assert "init: " in capsys.readouterr().out


@pytest.mark.slow
def test_an_auxiliary_head_and_class_weights_train(segtrain: Run):
    assert segtrain("train", *TINY, "model.auxiliary=true", "loss.weights=sqrt", "run_dir=run") == 0
    assert segtrain("evaluate", "run=run") == 0


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16-true", "64-true"])
def test_class_weights_train_at_true_precisions(segtrain: Run, precision: str):
    words = [f"trainer.precision={precision}", "train.steps=3", "run_dir=run"]
    assert segtrain("train", *TINY, "loss.weights=inverse", *words) == 0
    assert segtrain("evaluate", "run=run", "trainer.precision=32-true") == 0


@pytest.mark.slow
def test_classes_with_sides_change_places_in_flips_and_the_run_notes_which(
    segtrain: Run, capsys: pytest.CaptureFixture[str]
):
    write_folder(Path("photos"), 3)
    Path("photos/classes.yaml").write_text("classes: [{name: skin}, {name: l_eye}, {name: r_eye}]\n")
    words = [*ON_FOLDERS, "data.root=photos", "train.steps=2"]
    line = "a flip exchanges l_eye and r_eye (augment.flip_pairs=[] turns that off)\n"
    for name, typed, said in (
        ("found", [], 1),
        ("off", ["augment.flip_pairs=[]"], 0),
        ("still", ["augment.flip=0"], 0),
    ):
        assert segtrain("train", *words, f"run_dir={name}", *typed) == 0
        assert capsys.readouterr().out.count(line) == said
    pairs = {}
    for name in ("found", "off", "still"):
        content = torch.load(f"{name}/checkpoints/last.ckpt", weights_only=True)
        pairs[name] = json.loads(content["segtrain"]["record"])["augment"]["flip_pairs"]
    assert pairs == {"found": [["l_eye", "r_eye"]], "off": [], "still": []}
    assert segtrain("train", "resume=found", "augment.flip_pairs=[]") == 2
    assert "would change the result" in capsys.readouterr().err
    assert segtrain("train", *words, "run_dir=new", "augment.flip_pairs=[[l_eye,skin],[skin,r_eye]]") == 2
    assert "augment.flip_pairs: 2 pairs of 3 classes" in capsys.readouterr().err


def write_rare(root: Path) -> None:
    """Grey images in which one pixel in 16 is of another class that looks no different."""
    rng = np.random.default_rng(0)
    for split, number in {"train": 4, "val": 2}.items():
        for i in range(number):
            mask = np.zeros((32, 32), np.uint8)
            mask[8:16, 8:16] = 1
            for kind, pixels in (("images", rng.integers(90, 110, (32, 32), np.uint8)), ("masks", mask)):
                (root / kind / split).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(root / kind / split / f"{i}.png")
    (root / "classes.yaml").write_text("classes: [{name: ground}, {name: crack}]\n")


@pytest.mark.slow
def test_after_generated_images_three_commands_work_as_they_stand(
    segtrain: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fit, "remedies", lambda *_: [])  # as of a network that is worth it
    assert segtrain("train", *TINY, "run_dir=a run") == 0
    said = capsys.readouterr().out
    commands = re.findall(r"^next: python -m segtrain (.*)", said, re.MULTILINE)
    assert len(commands) == 3
    assert "with your own images: python -m segtrain check data.root=FOLDER\n" in said
    for words in commands:
        assert segtrain(*shlex.split(words, comments=True)) == 0


@pytest.mark.slow
def test_a_training_that_learned_nothing_says_so_and_what_to_try(segtrain: Run, capsys: pytest.CaptureFixture[str]):
    write_rare(Path("photos"))
    words = [*ON_FOLDERS, "data.root=photos", "train.steps=6", "train.validate_epochs=2", "optimizer.lr=0"]
    words += ["train.ema=null"]
    # the fresh network answers anything: its bias decides
    assert segtrain("train", *words, "run_dir=first") == 0
    content = torch.load("first/checkpoints/best.ckpt", weights_only=True)
    content["state_dict"]["network.decoder.score.bias"][:] = torch.tensor([9.0, 0.0])
    torch.save(content, "ground.ckpt")
    capsys.readouterr()
    assert segtrain("train", *words, "init=ground.ckpt", "run_dir=run") == 0
    out = capsys.readouterr().out
    doubt = "  not found so far: crack (6.2 % of the pixels); IoU/val is no better than ground everywhere (0.4688)\n"
    assert out.count("epoch ") >= 3
    assert out.count(doubt) == 1  # after the first of three validations, and not again
    nothing = "mIoU 0.4688 is no better than the answer 'ground' everywhere, which has 0.4688."
    assert nothing in out
    assert "Never predicted: crack (6.2 % of the pixels).\nTry first: train.steps=500 (in place of 6); then" in out
    assert "next: python -m segtrain train" in out
    assert "data=folder" not in out
    assert "train.steps=500\nto see what it does so far: python -m segtrain predict run=run" in out
    score = json.loads(Path("run/evaluate/val/metrics.json").read_text())
    assert score["miou"] == score["constant_miou"] == 0.46875
    assert score["not_found"] == ["crack"]
    assert segtrain("evaluate", "run=run") == 0
    out = capsys.readouterr().out
    assert nothing in out
    assert "Try first: train.steps=500 (in place of 6); then loss.weights=inverse" in out
    assert json.loads(Path("run/evaluate/val/metrics.json").read_text()) == score


SHORT = [word for word in TINY if not word.startswith(("train.", "data.train="))]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "steps", "said"),
    [
        (
            ["train.min_steps=40"],
            40,
            "40 steps = 40.0 epochs (30 epochs are 30 steps: train.min_steps makes them up to 40)",
        ),
        (["train.epochs=3"], 3, "3 steps = 3.0 epochs; "),
        (["train.epochs=3", "train.min_steps=5"], 5, "5 steps = 5.0 epochs (3 epochs are 3 steps: train.min_steps"),
        (["train.steps=4"], 4, "4 steps = 4.0 epochs; "),
        (["train.min_steps=0"], 30, "30 steps = 30.0 epochs; "),
    ],
)
def test_epochs_of_few_images_are_made_up_to_enough_steps_unless_they_are_typed(
    segtrain: Run, capsys: pytest.CaptureFixture[str], words: list[str], steps: int, said: str
):
    assert segtrain("train", *SHORT, "data.train=4", "train.validate_epochs=9", "run_dir=run", *words) == 0
    out = capsys.readouterr().out
    assert said in out.partition("\n")[0]
    assert f"step {steps}/{steps}" in out
    stored = yaml.safe_load(Path("run/config.yaml").read_text())["train"]
    assert stored["min_steps"] == next((int(word[16:]) for word in words if "min_steps" in word), stored["min_steps"])
    assert segtrain("train", "resume=run", *words) == 0
    assert "is finished" in capsys.readouterr().out


STEPS, CROPS, WEIGHTS = "4,000 steps", "crops of 32 x 32", "classes weigh 0.85 to 3.3"
TYPED = ["train.steps=8", "data.crop=[32,32]", "loss=ce_dice", "loss.weights=null"]


@pytest.mark.parametrize(
    ("words", "choices"),
    [
        ([], [STEPS, CROPS, "ce_dice", WEIGHTS]),
        (["train.steps=8"], [CROPS, "ce_dice", WEIGHTS]),
        (["train.epochs=9", "data.crop=[32,32]", "loss=ce_lovasz"], [WEIGHTS]),
        (["loss=cross_entropy"], [STEPS, CROPS]),
        (TYPED, []),
    ],
)
def test_what_was_chosen_and_not_typed_is_said_in_one_line(
    segtrain: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], choices: list
):
    def failing(*_: object) -> None:
        raise Interruption

    monkeypatch.setattr(fit, "run_steps", failing)
    write_rare(Path("photos"))
    small = [word for word in TINY if word.startswith(("model", "trainer"))]
    assert segtrain("train", *small, "data.root=photos", "data.workers=0", "run_dir=run", *words) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if "rarest class" in line]
    expected = [f"4 images, rarest class crack 6.2 %: {', '.join(choices)}"] if choices else []
    assert lines == expected
    if "ce_dice" in choices:
        stored = yaml.safe_load(Path("run/config.yaml").read_text())["loss"]
        assert stored == yaml.safe_load((conf_folder() / "loss/ce_dice.yaml").read_text())


@pytest.mark.slow
def test_what_was_chosen_is_not_said_again_when_a_run_goes_on(segtrain: Run, capsys: pytest.CaptureFixture[str]):
    assert segtrain("train", *TINY, "run_dir=run") == 0
    assert "12 images, rarest class " in capsys.readouterr().out
    assert segtrain("train", "resume=run", "train.steps=9", "allow_changes=true") == 0
    assert "rarest class" not in capsys.readouterr().out


@pytest.mark.slow
def test_more_epochs_of_a_run_that_was_made_up_are_what_was_typed(segtrain: Run, capsys: pytest.CaptureFixture[str]):
    segtrain("train", *SHORT, "data.train=4", "train.validate_epochs=30", "run_dir=run", "train.min_steps=32")
    capsys.readouterr()
    assert segtrain("train", "resume=run", "train.epochs=33", "allow_changes=true") == 0
    assert "33 steps = 33.0 epochs; " in capsys.readouterr().out


@pytest.mark.slow
def test_sgd_and_cosine_train(segtrain: Run):
    assert segtrain("train", *TINY, "optimizer=sgd", "schedule=cosine", "augment=none", "run_dir=run") == 0


@pytest.mark.slow
def test_a_crop_larger_than_the_images_is_padded(segtrain: Run):
    assert segtrain("train", *TINY, "data.crop=[48,40]", "run_dir=run") == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data.root=nowhere"], "data.root=nowhere: there is no such folder"),
        (["trainer.accelerator=tpu"], "trainer.accelerator=tpu: there is none on this machine"),
        (["resume=nowhere"], "resume=nowhere: there is no such run folder"),
        (["init=nowhere"], "init=nowhere: there is no such run folder"),
        (["teacher=nowhere"], "teacher=nowhere: there is no such run folder"),
        (["train.freeze_encoder=0"], "train.freeze_encoder=0: expected a number above 0"),
        (["train.encoder_lr=0"], "train.encoder_lr=0: expected a number above 0"),
        (["train.patience=0"], "train.patience=0: expected a number above 0"),
        (["train.patience=1.5"], "train.patience: 1.5 is not a whole number"),
        (["train.teacher_temperature=0"], "train.teacher_temperature=0: expected a number above 0"),
        (["optimizer.encoder_lr=0.1"], "type train.encoder_lr=0.1, a factor on optimizer.lr for the encoder"),
        (
            ["data.batch_size=5", "trainer.accumulate_grad_batches=2"],
            "data.batch_size=5 cannot be computed in 2 equal pieces",
        ),
        (["trainer.accumulate_grad_batches=0"], "data.batch_size=4 cannot be computed in 0 equal pieces"),
        (["trainer.devices=999"], "trainer.devices=999: this machine has"),
        (["trainer.devices=0"], "trainer.devices=0: this machine has"),
        (["trainer.devices=[0]"], "a list names GPUs"),
        (["trainer.strategy=deepspeed"], "trainer.strategy: 'deepspeed' is not 'auto', 'ddp' or 'fsdp'"),
        (["trainer.strategy=fsdp", "train.compile=true"], "trainer.strategy=fsdp: not with train.compile=true"),
        (
            ["trainer.strategy=fsdp", "trainer.precision=64-true"],
            "fsdp: not in 64-true: take trainer.precision=32-true",
        ),
        (["trainer.sync_batchnorm=true"], "batch norm is shared between GPUs only"),
        (["trainer.precision=bf17"], "trainer.precision: 'bf17'"),
        (["+trainer.max_epochs=3"], "trainer.max_epochs is decided by segtrain"),
        (["+trainer.gradient_clip_algorithm=value"], "trainer.gradient_clip_algorithm is decided by segtrain"),
        (["data.batchsize=4"], "unknown setting data.batchsize: did you mean data.batch_size?\n"),
        (["train.steps=0"], "train.steps=0: expected a number above 0"),
        (["train.epochs=-1"], "train.epochs=-1: expected a number above 0"),
        (["train.log_steps=0"], "train.log_steps=0"),
        (["train.ema=1"], "train.ema=1"),
        (["seed=-1"], "seed=-1: expected 0 or more"),
        (["data.size=[32]"], "data.size=[32]: expected height and width"),
        (["augment.scale=[1]"], "augment.scale=[1]"),
        (["data.val=0"], "data.val=0: expected 1 "),
        (["model.skips=9"], "skips=9: this encoder has 0 to 4"),
        (["loss.weights=rare"], "loss.weights=rare"),
    ],
)
def test_mistakes_are_one_line_with_status_2(
    segtrain: Run, capsys: pytest.CaptureFixture[str], words: list[str], message: str
):
    base = TINY if words[0] != "data.root=nowhere" else []
    assert segtrain("train", *base, *words) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err


@pytest.mark.parametrize("word", ["model.skips=9", "loss.weights=rare", "loss.label_smoothing=2", "data.crop=[0,8]"])
def test_nothing_is_written_before_everything_is_built(segtrain: Run, word: str):
    assert segtrain("train", *TINY, word) == 2
    assert not Path("runs").exists()


def test_a_network_without_an_encoder_to_freeze_is_refused_before_anything_is_written(
    segtrain: Run, capsys: pytest.CaptureFixture[str]
):
    Path("conf/model").mkdir(parents=True)
    Path("conf/model/plain.yaml").write_text("_target_: tests.training.test_trial.Network\nclasses: 6\n")
    words = ["model=plain", *(word for word in TINY if not word.startswith("model"))]
    assert segtrain("train", *words, "train.freeze_encoder=1") == 2
    assert "train.freeze_encoder: a Network has no part named encoder: leave it null" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_images_that_cannot_be_scored_are_refused_before_anything_is_written(
    segtrain: Run, capsys: pytest.CaptureFixture[str]
):
    Path("conf/model").mkdir(parents=True)
    Path("conf/model/narrow.yaml").write_text("_target_: tests.training.test_trial.Narrow\nclasses: 6\n")
    words = ["model=narrow", *(word for word in TINY if not word.startswith("model"))]
    assert segtrain("train", *words, "data.size=[24,32]", "data.crop=[16,16]") == 2
    assert "it cannot score images of 24 x 32, as val has them: 16 columns at most" in capsys.readouterr().err
    assert not Path("runs").exists()


@pytest.mark.slow
def test_an_encoder_that_has_learned_may_stand_still_to_the_end(segtrain: Run, capsys: pytest.CaptureFixture[str]):
    words = [*TINY, "train.freeze_encoder=2.4"]  # epochs, each of three of the eight steps
    assert segtrain("train", *words) == 2
    assert "train.freeze_encoder: the encoder would keep its random weights" in capsys.readouterr().err
    assert not Path("runs").exists()
    assert segtrain("train", *TINY, "run_dir=first") == 0
    assert segtrain("train", *words, "init=first", "run_dir=second") == 0
    one, other = (runs_trained.load(run).state_dict() for run in ("first", "second"))
    encoder = [name for name in one if name.startswith("encoder.")]
    assert encoder
    assert all(torch.equal(one[name], other[name]) for name in encoder)
    assert not torch.equal(one["decoder.score.weight"], other["decoder.score.weight"])


@pytest.mark.slow
def test_ctrl_c_ends_with_status_130_and_the_line_that_goes_on(
    segtrain: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    step = learner.Learner.training_step

    def interrupted(self: learner.Learner, *args: object, **kwargs: object) -> None:
        if self.trainer.global_step == 5:
            os.kill(os.getpid(), signal.SIGINT)
        step(self, *args, **kwargs)

    monkeypatch.setattr(learner.Learner, "training_step", interrupted)
    assert segtrain("train", *TINY, "run_dir=run") == 130
    assert "go on: python -m segtrain train resume=run" in capsys.readouterr().out


@pytest.mark.slow
def test_a_learning_rate_that_may_change_does(segtrain: Run):
    segtrain("train", *TINY, "run_dir=run", "schedule.warmup=0")
    words = ["resume=run", "allow_changes=true", "train.steps=10", "optimizer.lr=0.5"]
    assert segtrain("train", *words) == 0
    rates = dict(scalars("run")["optim/lr"])
    assert rates[10] == 0  # of the schedule's last step, whatever the rate
    content = torch.load("run/checkpoints/last.ckpt", weights_only=True)
    assert [group["initial_lr"] for group in content["optimizer_states"][0]["param_groups"]] == [0.5, 0.5]
    assert content["lr_schedulers"][0]["base_lrs"] == [0.5, 0.5]


@pytest.mark.slow
def test_what_the_checkpoint_held_is_let_go_before_a_training_goes_on(segtrain: Run, monkeypatch: pytest.MonkeyPatch):
    segtrain("train", *TINY, "run_dir=run")
    read, kept = train.read_checkpoint, []

    def noted(file: Path) -> dict:
        content = read(file)
        kept.extend(weakref.ref(tensor) for tensor in content["state_dict"].values())
        return content

    monkeypatch.setattr(train, "read_checkpoint", noted)
    alive = []
    monkeypatch.setattr(train, "fit", lambda *_: alive.append([ref() is not None for ref in kept]) or 0)
    assert segtrain("train", "resume=run", "train.steps=12", "allow_changes=true") == 0
    assert len(alive[0]) > 10
    assert not any(alive[0])
