import csv
import json
import re
import shlex
import shutil
from collections.abc import Callable
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torchmetrics.classification import MulticlassJaccardIndex

import segtrain as api
from segtrain.data import ShapesData
from segtrain.inference.windows import Windows
from segtrain.machine import device
from segtrain.models.fcn import FCN
from segtrain.report import labels, screen
from segtrain.report.per_image import read_per_image
from segtrain.runs.correction import LOSS, Correction
from segtrain.runs.temperature import Temperature
from segtrain.scoring import reporting
from segtrain.training import checkpoint, fit
from tests.commands.conftest import TINY

Run = Callable[..., int]
ON_FOLDERS = [word for word in TINY if not word.startswith(("data.size", "data.train", "data.val", "data.test"))]


def stored(path: str) -> dict:
    return json.loads(Path(path).read_text())


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_evaluate_gives_the_number_of_training_to_the_last_digit(
    segtrain: Run, monkeypatch: pytest.MonkeyPatch, precision: str
):
    monkeypatch.setattr(device, "cpu_info", lambda _: "avx512_bf16")
    words = ["train.ema=0.9", f"trainer.precision={precision}", "run_dir=run"]
    assert segtrain("train", *TINY, *words) == 0
    trained = stored("run/evaluate/test/metrics.json")
    assert segtrain("evaluate", "run=latest") == 0
    assert stored("run/evaluate/test/metrics.json") == trained
    assert segtrain("evaluate", "run=run", "split=val", "data.workers=1") == 0
    best = checkpoint.read_checkpoint(Path("run/checkpoints/best.ckpt"))["callbacks"]["Checkpoint"]["best"]
    assert stored("run/evaluate/val/metrics.json")["miou"] == best


@pytest.mark.slow
def test_a_run_in_bf16_is_used_in_fp32_where_the_cpu_has_no_bf16(
    segtrain: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    segtrain("train", *TINY, "trainer.precision=bf16-mixed", "run_dir=run")
    write_folder(Path("photos"), 2)
    monkeypatch.setattr(device, "cpu_info", lambda _: "avx2")
    in_bf16: list[bool] = []
    normalize = FCN.normalize

    def noting(self: FCN, image: torch.Tensor) -> torch.Tensor:
        in_bf16.append(torch.is_autocast_enabled("cpu"))
        return normalize(self, image)

    monkeypatch.setattr(FCN, "normalize", noting)
    line = "precision 32-true, not bf16-mixed as in training: this CPU has neither AMX nor AVX512-BF16"
    for word, said, expected in (("", 1, False), ("trainer.precision=bf16-mixed", 0, True)):
        in_bf16.clear()
        capsys.readouterr()
        assert segtrain("evaluate", "run=run", *filter(None, [word])) == 0
        assert capsys.readouterr().out.count(line) == said
        assert set(in_bf16) == {expected}
    assert segtrain("predict", "run=run", "images=photos/images/val") == 0
    assert line in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("trained")
def test_the_number_is_torchmetrics_over_predictions_through_the_public_api(segtrain: Run):
    trained = api.load("run")
    source = ShapesData(**{k: v for k, v in trained.settings["data"].items() if k != "_target_"}).source("test")
    theirs = MulticlassJaccardIndex(6, average="macro", ignore_index=trained.classes.void)
    for index in range(len(source)):
        image, mask = source.read(index)
        theirs.update(api.predict(trained, image).mask[None], mask[None].long())
    assert stored("run/evaluate/test/metrics.json")["miou"] == pytest.approx(float(theirs.compute()), abs=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("trained")
def test_a_checkpoint_file_is_scored_like_its_run(segtrain: Run):
    Path("run/checkpoints/best.ckpt").rename("copied.ckpt")
    assert segtrain("evaluate", "checkpoint=copied.ckpt") == 0
    assert stored("evaluate/test/metrics.json") == stored("run/evaluate/test/metrics.json")


TILT = Correction(0.5, LOSS, (-9.0, 0.0, 0.0, 0.0, 0.0, 9.0), 0.25, 0.5)


@pytest.mark.slow
def test_a_run_with_a_correction_uses_it_everywhere_unless_that_is_turned_off(
    segtrain: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """It is so large that a network which has learned nothing finds the last class alone."""
    monkeypatch.setattr(fit, "fit_correction", lambda *_: TILT)
    assert segtrain("train", *TINY, "loss.weights=sqrt", "run_dir=run") == 0
    line = "0.5 of the logarithm of loss.weights is taken off the logits"
    assert line in capsys.readouterr().out
    trained = stored("run/evaluate/test/metrics.json")
    assert trained["correction"]["offsets"] == list(TILT.offsets)
    assert trained["classes"]["cross"]["recall"] == 1
    assert segtrain("evaluate", "run=run") == 0
    assert line in capsys.readouterr().out
    assert stored("run/evaluate/test/metrics.json") == trained

    Path("run/checkpoints/best.ckpt").rename("copied.ckpt")  # a checkpoint is all it takes
    assert segtrain("evaluate", "checkpoint=copied.ckpt", "split=val", "correction=false") == 0
    assert line not in capsys.readouterr().out
    raw = stored("evaluate/val-uncorrected/metrics.json")
    assert "correction" not in raw
    best = checkpoint.read_checkpoint(Path("copied.ckpt"))["callbacks"]["Checkpoint"]["best"]
    assert raw["miou"] == best  # which chose the checkpoint, uncorrected

    Image.fromarray(np.zeros((20, 24, 3), np.uint8)).save("black.png")
    for word, name in (("correction=true", "with"), ("correction=false", "without")):
        assert segtrain("predict", "checkpoint=copied.ckpt", "images=black.png", f"out={name}", word) == 0
    masks = {name: np.asarray(Image.open(f"{name}/masks/black.png")) for name in ("with", "without")}
    assert set(masks["with"].flat) == {5}
    assert set(masks["without"].flat) != {5}
    assert set(api.predict(api.load("copied.ckpt"), "black.png").mask.flatten().tolist()) == {5}


@pytest.mark.slow
def test_a_temperature_changes_how_sure_a_run_is_and_none_of_its_answers(
    segtrain: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(fit, "fit_temperature", lambda *_: Temperature(4.0, 0.5, 0.25))
    assert segtrain("train", *TINY, "run_dir=run") == 0
    line = "temperature: for probabilities, logits are divided by 4"
    assert line in capsys.readouterr().out
    trained = stored("run/evaluate/test/metrics.json")
    assert trained["calibration"]["temperature"] == 4
    assert segtrain("evaluate", "run=run") == 0
    assert line in capsys.readouterr().out
    assert stored("run/evaluate/test/metrics.json") == trained
    assert segtrain("evaluate", "run=run", "calibration=false") == 0
    assert line not in capsys.readouterr().out
    raw = stored("run/evaluate/test-uncalibrated/metrics.json")
    assert raw["calibration"]["temperature"] == 1
    assert raw["calibration"]["ece"] != trained["calibration"]["ece"]
    assert {**raw, "calibration": 0} == {**trained, "calibration": 0}

    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)).save("noise.png")
    for word, name in (("calibration=true", "soft"), ("calibration=false", "raw")):
        words = ["run=run", "images=noise.png", f"out={name}", "save=[mask,confidence]", word]
        assert segtrain("predict", *words) == 0
    masks, confidences = (
        [np.asarray(Image.open(f"{name}/{what}/noise.png")).astype(int) for name in ("soft", "raw")]
        for what in ("masks", "confidence")
    )
    assert (masks[0] == masks[1]).all()
    assert (confidences[0] < confidences[1]).all()


@pytest.mark.slow
def test_no_temperature_is_fitted_where_it_is_turned_off(segtrain: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fit, "fit_temperature", lambda *_: Temperature(4.0, 0.5, 0.25))
    assert segtrain("train", *TINY, "train.calibration=false", "run_dir=run") == 0
    assert stored("run/evaluate/test/metrics.json")["calibration"]["temperature"] == 1


@pytest.mark.slow
def test_no_correction_is_fitted_where_it_is_turned_off(segtrain: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fit, "fit_correction", lambda *_: TILT)
    assert segtrain("train", *TINY, "train.correction=false", "run_dir=run") == 0
    assert "correction" not in stored("run/evaluate/test/metrics.json")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_correction_that_is_fitted_raises_the_score_on_val_and_evaluate_has_the_same(
    segtrain: Run, monkeypatch: pytest.MonkeyPatch, precision: str
):
    monkeypatch.setattr(device, "cpu_info", lambda _: "avx512_bf16")
    long = [word for word in TINY if not word.startswith(("train.", "data.val", "trainer.precision"))]
    words = ["data.val=10", "train.steps=60", "optimizer.lr=0.01", "loss=cross_entropy", "loss.weights=inverse"]
    words += ["train.ema=null", "model.auxiliary=false"]  # so that rare classes are what it answers too often
    assert segtrain("train", *long, *words, f"trainer.precision={precision}", "run_dir=run") == 0
    trained = stored("run/evaluate/test/metrics.json")
    assert trained["correction"]["share"] > 0
    assert segtrain("evaluate", "run=run") == 0
    assert stored("run/evaluate/test/metrics.json") == trained
    for word in ("correction=true", "correction=false"):
        assert segtrain("evaluate", "run=run", "split=val", word) == 0
    raw = stored("run/evaluate/val-uncorrected/metrics.json")["miou"]
    assert raw == trained["correction"]["before"]
    assert stored("run/evaluate/val/metrics.json")["miou"] > raw


def write_folder(root: Path, classes: int) -> None:
    rng = np.random.default_rng(0)
    names = ", ".join(f"{{name: c{i}}}" for i in range(classes))
    for split, number in {"train": 4, "val": 2}.items():
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for i in range(number):
            Image.fromarray(rng.integers(0, 256, (20, 24, 3), np.uint8)).save(root / f"images/{split}/{i}.png")
            Image.fromarray(rng.integers(0, classes, (20, 24), np.uint8)).save(root / f"masks/{split}/{i}.png")
    (root / "classes.yaml").write_text(f"classes: [{names}]\n")


@pytest.mark.slow
def test_a_folder_without_test_split_is_scored_on_val_and_says_so(segtrain: Run, capsys: pytest.CaptureFixture[str]):
    write_folder(Path("photos"), 3)
    assert segtrain("train", *ON_FOLDERS, "data.root=photos", "run_dir=run") == 0
    assert "val also chose the checkpoint" in capsys.readouterr().out
    scores = stored("run/evaluate/val/metrics.json")
    assert scores["images"] == 2
    with open("run/metrics.csv", newline="") as file:
        *_, last = csv.DictReader(file)
    assert float(last["IoU_final/val"]) == pytest.approx(scores["miou"], rel=1e-6)
    assert last["IoU/test"] == last["IoU/val"] == ""


@pytest.mark.slow
def test_a_run_finds_its_data_from_everywhere(
    segtrain: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_folder(Path("here/my photos (1)"), 3)
    Path("there").mkdir()
    write_folder(Path("there/my photos (1)"), 2)  # others of the same name
    monkeypatch.chdir("here")
    assert segtrain("train", *ON_FOLDERS, "data.root=my photos (1)") == 0
    assert Path("runs/latest").read_text().startswith("my_photos_1-fcn_tiny/2")
    monkeypatch.chdir(tmp_path / "there")
    assert segtrain("evaluate", "run=../here/runs/latest") == 0
    assert segtrain("train", "resume=../here/runs/latest") == 0
    assert "is finished: nothing is changed" in capsys.readouterr().out

    (tmp_path / "here").rename(tmp_path / "moved")  # the project as a whole
    monkeypatch.chdir(tmp_path / "moved")
    assert segtrain("evaluate", "run=latest") == 0
    monkeypatch.chdir(tmp_path)
    assert segtrain("evaluate", "run=moved/runs/latest") == 0
    Path("moved/my photos (1)").rename("gone")
    capsys.readouterr()
    for command in (["evaluate", "run=moved/runs/latest"], ["train", "resume=moved/runs/latest"]):
        assert segtrain(*command) == 2
        assert "if the data of this run lie elsewhere now, type data.root=FOLDER\n" in capsys.readouterr().err
    assert segtrain("evaluate", "run=moved/runs/latest", "data.root=gone") == 0
    assert list(tmp_path.glob("moved/runs/*/*/evaluate/gone-val/metrics.json"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "message"),
    [("c0 c1 c2 c3", "but the data have 4 (c0, c1, c2, c3)"), ("c1 c0 c2", "but the data have 3 (c1, c0, c2)")],
    ids=["more", "another order"],
)
def test_data_with_other_classes_are_refused(
    segtrain: Run, capsys: pytest.CaptureFixture[str], names: str, message: str
):
    write_folder(Path("photos"), 3)
    write_folder(Path("others"), 3)
    table = ", ".join(f"{{name: {name}}}" for name in names.split())
    Path("others/classes.yaml").write_text(f"classes: [{table}]\n")
    segtrain("train", *ON_FOLDERS, "data.root=photos", "run_dir=run")
    capsys.readouterr()
    assert segtrain("evaluate", "run=run", "data.root=others") == 2
    err = capsys.readouterr().err
    assert "trained for 3 classes (c0, c1, c2)" in err
    assert message in err


@pytest.mark.slow
def test_how_many_headers_of_a_new_folder_are_read_is_shown(
    segtrain: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    write_folder(Path("photos"), 2)
    write_folder(Path("others"), 2)
    segtrain("train", *ON_FOLDERS, "data.root=photos", "run_dir=run")
    capsys.readouterr()
    monkeypatch.setattr(screen, "FIRST_GAP", 0)
    assert segtrain("evaluate", "run=run", "data.root=others") == 0
    assert re.search(r"^reading headers: 1 of \d+, 0:0\d left$", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.slow
def test_scores_on_other_images_do_not_replace_the_runs_own(segtrain: Run, capsys: pytest.CaptureFixture[str]):
    write_folder(Path("photos"), 2)
    write_folder(Path("others"), 2)
    segtrain("train", *ON_FOLDERS, "data.root=photos", "run_dir=run")
    before = Path("run/evaluate/val/metrics.json").read_bytes()
    capsys.readouterr()
    assert segtrain("evaluate", "run=run", "data.root=others", "trainer.precision=auto") == 0
    assert "val also chose the checkpoint" in capsys.readouterr().out
    assert Path("run/evaluate/val/metrics.json").read_bytes() == before
    assert Path("run/evaluate/others-val/metrics.json").exists()


def facts_in(report: Path) -> dict[str, str]:
    """What a report in text says of how it was made."""
    _, _, rest = report.read_text().partition("## How it was made")
    made, _, _ = rest.partition("## Settings of the training")
    return dict(line.removeprefix("- ").split(": ", 1) for line in made.splitlines() if line)


@pytest.mark.slow
def test_a_report_says_what_made_its_score(segtrain: Run, capsys: pytest.CaptureFixture[str]):
    write_folder(Path("photos"), 2)
    write_folder(Path("my others (1)"), 2)
    for kind in ("images", "masks"):
        shutil.copy(f"photos/{kind}/val/0.png", f"my others (1)/{kind}/val/new.png")
    segtrain("train", *ON_FOLDERS, "data.root=photos", "run_dir=run")
    own = Path("run/evaluate/val/report.md")
    facts = facts_in(own)
    assert own.read_text().startswith("# photos-fcn_tiny: val\n")
    assert (facts["scored by"], facts["views"]) == ("the training itself, at its end", "as in the training")
    assert facts["trained by"].startswith("python -m segtrain train model=fcn_tiny")
    assert facts.keys().isdisjoint({"images of", "left out", "members"})

    capsys.readouterr()
    words = ["data.root=my others (1)", "flip=true", "scales=[0.5,1]", "overlap=0.5", "calibration=false"]
    assert segtrain("evaluate", "run=run", *words, "trainer.precision=bf16-mixed") == 0
    out = capsys.readouterr().out
    assert "differ from those of the training (names, sizes or classes): as far as they hold images of its train" in out
    assert "val also chose" not in out
    (folder,) = Path("run/evaluate").glob("*-flip-*")
    facts, text = facts_in(folder / "report.md"), unescape((folder / "report.html").read_text())
    assert "<title>photos-fcn_tiny on my others (1): val</title>" in text
    assert all(f"<dt>{name}<dd>{value}" in text for name, value in facts.items())
    place = Path("my others (1)").resolve()
    assert facts["images of"] == f"{place} (other names, sizes or classes than in the training)"
    assert facts["views"] == "flip=true, scales=[0.5, 1], overlap=0.5"
    assert facts["left out"] == "calibration"
    assert (facts["precision"], facts["precision of the training"]) == ("bf16-mixed", "32-true")
    before = (folder / "metrics.json").read_bytes()
    shutil.rmtree(folder)
    words = shlex.split(facts["scored by"])
    assert words[:3] == ["python", "-m", "segtrain"]
    assert segtrain(*words[3:]) == 0
    assert (folder / "metrics.json").read_bytes() == before


def matrix_in(folder: str) -> np.ndarray:
    return np.genfromtxt(f"{folder}/confusion.csv", delimiter=",", skip_header=1)[:, 1:]


def test_a_score_comes_with_every_image_and_a_report(segtrain: Run, capsys: pytest.CaptureFixture[str]):
    segtrain("train", *TINY, "data.test=5", "run_dir=run")
    folder = Path("run/evaluate/test")
    out, html, score = capsys.readouterr().out, (folder / "report.html").read_text(), stored(f"{folder}/metrics.json")
    images = read_per_image(folder / "per_image.npz")
    assert [(folder / "per_image.csv").read_text().count(name) for name in images.names] == [1] * 5
    assert (images.truth.sum(0) == matrix_in(str(folder)).sum(1)).all()
    assert (images.predicted.sum(0) == matrix_in(str(folder)).sum(0)).all()
    low, high = score["miou_interval"]
    assert low < score["miou"] < high
    assert f"mIoU on other such images: {low:.4f} to {high:.4f} in 95 % (too narrow: only 5 images)" in out
    assert f"{100 * score['miou']:.1f} % mIoU" in html
    assert all(html.count(f"<h3>{name}: mean IoU within the image") == 1 for name in images.names)
    assert html.count('alt="confidence of ') == 5
    assert 'alt="IoU over the steps of the training"' in html
    markdown = (folder / "report.md").read_text()
    assert f"{100 * score['miou']:.1f} % mIoU" in markdown
    assert all("(bootstrap over 5 images)" in page for page in (html, markdown))
    assert all("too narrow: only 5 images" in page for page in (html, markdown))
    report = stored(f"{folder}/report.json")
    assert report["score"] == score
    assert list(report["images_with_class"].values()) == (images.truth > 0).sum(0).tolist()
    assert {row["name"] for row in report["images"]["The worst images"]} == set(images.names)
    assert yaml.safe_load(report["settings"])["data"]["test"] == 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("split", "remark"),
    [
        ("val", "Val also chose the checkpoint"),
        ("train", "The network was trained on these images, so this score says nothing about other ones."),
        ("test", None),
    ],
)
@pytest.mark.usefixtures("trained")
def test_a_score_on_images_that_the_network_knows_says_so(
    segtrain: Run, capsys: pytest.CaptureFixture[str], split: str, remark: str | None
):
    capsys.readouterr()
    assert segtrain("evaluate", "run=run", f"split={split}") == 0
    out, report = capsys.readouterr().out, Path(f"run/evaluate/{split}/report.md").read_text()
    for text in (out, report):
        if remark:
            assert remark in text
        else:
            assert "flatters" not in text
            assert "was trained on these" not in text


@pytest.mark.slow
@pytest.mark.usefixtures("trained")
def test_a_report_that_cannot_be_written_costs_no_score(
    segtrain: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fail(*_: object) -> None:
        raise MemoryError("too large")

    assert "python -m segtrain train model=fcn_tiny" in Path("run/evaluate/test/report.html").read_text()
    monkeypatch.setattr(reporting, "row_of", fail)
    assert segtrain("evaluate", "run=run") == 0
    out = capsys.readouterr().out
    assert "report.html: it could not be written (MemoryError: too large); the numbers are beside it" in out
    assert "written: run/evaluate/test/metrics.json; beside it confusion.csv" in out
    assert not Path("run/evaluate/test/report.html").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("trained")
def test_labels_to_look_at_are_listed_unless_that_is_turned_off(
    segtrain: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    file = Path("run/evaluate/test/label_problems.csv")
    assert len(file.read_text().splitlines()) == 1  # a training looks for them too, and this network is sure of nothing
    monkeypatch.setattr(labels, "SURE", 0.0)
    capsys.readouterr()
    assert segtrain("evaluate", "run=run", "label_problems=2") == 0
    out = capsys.readouterr().out
    assert "a label to look at: 0-2-0000" in out
    assert "confusion.png, label_problems.csv" in out
    assert len(file.read_text().splitlines()) == 1 + 2
    assert Path("run/evaluate/test/report.html").read_text().count(">against the label (red)<") == 2
    assert segtrain("evaluate", "run=run", "label_problems=0") == 0
    assert not file.exists()
    assert segtrain("evaluate", "run=run", "label_problems=-1") == 2
    assert "label_problems=-1: expected the number of images" in capsys.readouterr().err


@pytest.mark.slow
def test_a_training_lists_a_few_labels_and_its_report_says_how_those_of_its_images_are_found(
    segtrain: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(labels, "SURE", 0.0)
    segtrain("train", *TINY, "data.test=5", "run_dir=my run")
    folder = Path("my run/evaluate")
    assert "a label to look at: 0-2-" in capsys.readouterr().out
    assert len((folder / "test/label_problems.csv").read_text().splitlines()) == 1 + 3

    def words() -> list[str]:
        """Those that the report on the test images names, behind the command."""
        (line,) = re.findall(r"contradicts nonetheless, are found by: (.*)", (folder / "test/report.md").read_text())
        assert line in unescape((folder / "test/report.html").read_text())
        return shlex.split(line.removeprefix("python -m segtrain "))

    assert segtrain(*words()) == 0
    assert "\n0-0-" in (folder / "train/label_problems.csv").read_text()
    assert "contradicts nonetheless" not in (folder / "train/report.md").read_text()
    assert segtrain("evaluate", "run=latest", "label_problems=1", "split=test") == 0
    assert words() == ["evaluate", f"run={Path('my run').resolve()}", "split=train", "label_problems=12"]


@pytest.mark.slow
def test_the_images_of_a_group_are_drawn_together(segtrain: Run):
    write_folder(Path("photos"), 4)
    for path in Path("photos").rglob("*.png"):
        path.rename(path.with_name(f"day{int(path.stem) // 2}_{path.name}"))
    segtrain("train", *ON_FOLDERS, "data.root=photos", "data.group='day.'", "run_dir=run")
    score = stored("run/evaluate/val/metrics.json")
    assert (score["images"], score["interval_of"]) == (2, 1)
    assert "only 1 group of images" in score["interval_doubts"]


@pytest.mark.slow
@pytest.mark.usefixtures("trained")
def test_two_runs_that_are_one_have_its_matrix(segtrain: Run, capsys: pytest.CaptureFixture[str]):
    capsys.readouterr()
    assert segtrain("evaluate", "run=run,run") == 0
    assert "written: run/evaluate/test-ensemble-2/report.html" in capsys.readouterr().out
    assert facts_in(Path("run/evaluate/test-ensemble-2/report.md"))["members"].count("best.ckpt") == 2
    alone, twice = stored("run/evaluate/test/metrics.json"), stored("run/evaluate/test-ensemble-2/metrics.json")
    assert twice.pop("members") == ["run/checkpoints/best.ckpt"] * 2
    assert twice["calibration"].pop("temperature") is None  # each has its own
    assert alone["calibration"].pop("temperature") == 1
    assert twice == alone
    assert (matrix_in("run/evaluate/test-ensemble-2") == matrix_in("run/evaluate/test")).all()
    assert segtrain("evaluate", "run=[run]") == 0
    assert {**stored("run/evaluate/test/metrics.json"), "calibration": alone["calibration"]} == alone


@pytest.mark.slow
def test_an_ensemble_is_scored_by_the_mean_of_its_probabilities(segtrain: Run):
    for seed in "01":
        segtrain("train", *TINY, f"seed={seed}", f"run_dir=run{seed}")
    assert segtrain("evaluate", "run=run0,run1") == 0
    assert segtrain("evaluate", "checkpoint=run1/checkpoints/best.ckpt,run0/checkpoints/best.ckpt") == 0
    trained, other = api.load("run0"), api.load("run1")
    source = ShapesData(**{k: v for k, v in trained.settings["data"].items() if k != "_target_"}).source("test")
    theirs = MulticlassJaccardIndex(6, average="macro", ignore_index=trained.classes.void)
    with torch.inference_mode():
        for index in range(len(source)):
            image, mask = source.read(index)
            logits = torch.stack([network(image[None]) for network in (trained, other)])
            theirs.update(logits.softmax(2).mean(0), mask[None].long())
    miou = stored("run0/evaluate/test-ensemble-2/metrics.json")["miou"]
    assert miou == pytest.approx(float(theirs.compute()), abs=1e-6)
    assert stored("run1/evaluate/test-ensemble-2/metrics.json")["miou"] == miou
    assert miou not in [stored(f"run{seed}/evaluate/test/metrics.json")["miou"] for seed in "01"]


@pytest.mark.slow
def test_a_score_with_flip_is_that_of_each_image_and_its_mirror_image(
    segtrain: Run, capsys: pytest.CaptureFixture[str]
):
    segtrain("train", *TINY, "data.size=[32,64]", "run_dir=run")
    capsys.readouterr()
    assert segtrain("evaluate", "run=run", "flip=true") == 0
    assert "written: run/evaluate/test-flip/report.html" in capsys.readouterr().out
    trained = api.load("run")
    source = ShapesData(**{k: v for k, v in trained.settings["data"].items() if k != "_target_"}).source("test")
    theirs = MulticlassJaccardIndex(6, average="macro", ignore_index=trained.classes.void)
    with torch.inference_mode():
        for index in range(len(source)):
            image, mask = source.read(index)
            logits = torch.stack([trained(image[None]), trained(image[None].flip(-1)).flip(-1)])
            theirs.update(logits.softmax(2).mean(0), mask[None].long())
    score = stored("run/evaluate/test-flip/metrics.json")
    assert score["miou"] == pytest.approx(float(theirs.compute()), abs=1e-6)
    assert score["flip"] is True
    assert "flip" not in stored("run/evaluate/test/metrics.json")
    assert segtrain("evaluate", "run=run,run", "flip=true") == 0
    assert stored("run/evaluate/test-ensemble-2-flip/metrics.json")["miou"] == score["miou"]


@pytest.fixture
def folds(segtrain: Run) -> Run:
    """Runs `0`, `1` and `2` of the three folds of a folder."""
    write_folder(Path("photos"), 3)
    for fold in "012":
        words = ["data.root=photos", "data.folds=3", f"data.fold={fold}", f"run_dir={fold}"]
        assert segtrain("train", *ON_FOLDERS, *words) == 0
    return segtrain


@pytest.mark.slow
def test_a_cross_validation_is_the_sum_over_the_vals_of_its_folds(folds: Run, capsys: pytest.CaptureFixture[str]):
    capsys.readouterr()
    assert folds("evaluate", "run=0,1,2", "cross=true") == 0
    out = capsys.readouterr().out
    assert "1 (fold 1 of 3): 2 images, mIoU" in out
    assert "cross: 6 images" in out
    assert "val also chose the checkpoint of each run" in out
    assert (matrix_in("0/evaluate/cross-3") == sum(matrix_in(f"{fold}/evaluate/val") for fold in "012")).all()
    scores = stored("0/evaluate/cross-3/metrics.json")
    assert scores["pixels"] == 6 * 20 * 24
    assert scores["members"] == [f"{fold}/checkpoints/best.ckpt" for fold in "012"]
    assert scores["member_miou"] == [stored(f"{fold}/evaluate/val/metrics.json")["miou"] for fold in "012"]
    assert folds("evaluate", "run=0,2", "cross=true") == 0
    assert "2 of 6 images are in the val of none of these runs" in capsys.readouterr().out
    for kind in ("images", "masks"):
        shutil.copy(f"photos/{kind}/train/0.png", f"photos/{kind}/train/new.png")
    for words in (("run=1",), ("run=0,1,2", "cross=true")):
        assert folds("evaluate", *words) == 2
        assert "the data are not those of the run" in capsys.readouterr().err


@pytest.mark.slow
def test_runs_are_not_scored_together_on_what_one_was_trained_on(folds: Run, capsys: pytest.CaptureFixture[str]):
    shutil.copytree("photos", "moved")
    write_folder(Path("others"), 3)
    folds("train", *ON_FOLDERS, "data.root=others", "run_dir=other")
    folds("train", *TINY, "run_dir=shapes")
    capsys.readouterr()
    seen = "split=val of 0: 1 was trained on 2 of these 2 images: cross=true scores each on its own val"
    for words, message in {
        ("run=0,1",): seen,
        ("run=0,1", "data.root=moved"): seen,
        ("run=0,0", "cross=true"): "0 and 0 have images of val in common: name one run of each fold",
        ("run=0", "cross=true"): "name the runs of all folds, such as run=A,B,C",
        ("run=0,other", "cross=true"): "0 and other are no folds of the same images",
        ("run=0,1,2", "cross=true", "split=train"): "split=train cross=true: each run of a cross-validation",
        ("run=0,shapes",): "0 and shapes cannot answer together: one has the classes c0, c1, c2, the other background",
    }.items():
        assert folds("evaluate", *words) == 2, words
        assert message in capsys.readouterr().err
    assert folds("evaluate", "run=0,other") == 0
    assert folds("evaluate", "run=0,1", "split=train") == 0


GONE = object()
DAMAGED = {  # parts of a record, by their paths
    "settings": [GONE, [1], 7],
    "settings.data": [GONE, None, "x"],
    "settings.data.layout": [7.5, ["x"], {"a": 1}],
    "settings.data.group": [-1, "("],
    "settings.data.workers": [[1], -1, "many"],
    "settings.data.root": [None, 7, ""],
    "precision": [GONE, 7, "half"],
    "model": [GONE, {}, {"_target_": 7}],
    "classes": [GONE, 7, {"classes": 7}],
    "cwd": [7],
    "temperature": [1.5, {}, {"value": 0, "before": 0, "after": 0}],
    "correction": [7, {}, {"share": 1, "of": "loss.weights", "offsets": [0, 0, 0], "before": 0, "after": 0}],
}


@pytest.mark.slow
def test_a_damaged_record_ends_in_one_line(segtrain: Run, capsys: pytest.CaptureFixture[str]):
    write_folder(Path("photos"), 2)
    segtrain("train", *ON_FOLDERS, "data.root=photos", "train.steps=1", "run_dir=run")
    content = torch.load("run/checkpoints/last.ckpt", weights_only=True)
    wrong: list[object] = []
    for path, values in DAMAGED.items():
        for value in values:
            record = json.loads(content["segtrain"]["record"])
            *groups, name = path.split(".")
            part = record
            for group in groups:
                part = part[group]
            part[name] = value
            if value is GONE:
                del part[name]
            damaged = {**content, "segtrain": {**content["segtrain"], "record": json.dumps(record)}}
            torch.save(damaged, "damaged.ckpt")
            capsys.readouterr()
            status, lines = segtrain("evaluate", "checkpoint=damaged.ckpt"), capsys.readouterr().err.splitlines()
            if (status, len(lines)) != (2, 1):
                wrong.append((path, value, status, lines))
    assert wrong == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "either run=FOLDER (or run=latest) or checkpoint=FILE"),
        (["run=nowhere"], "run=nowhere: there is no such run folder"),
        (["checkpoint=nothing.ckpt"], "nothing.ckpt: there is no such checkpoint"),
        (["checkpoint=broken.ckpt"], "broken.ckpt: not a readable checkpoint"),
    ],
)
def test_mistakes_are_one_line(segtrain: Run, capsys: pytest.CaptureFixture[str], words: list[str], message: str):
    Path("broken.ckpt").write_bytes(b"not a checkpoint")
    assert segtrain("evaluate", *words) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err


@pytest.mark.slow
def test_other_sizes_and_windows_have_a_score_of_their_own(segtrain: Run):
    segtrain("train", *TINY, "data.size=[64,96]", "run_dir=run", "train.window=64", "train.overlap=0.25")
    whole = stored("run/evaluate/test/metrics.json")
    assert segtrain("evaluate", "run=run", "window=32", "scales=[0.5,1]") == 0
    score = stored("run/evaluate/test-scales-0.5-1-window-32/metrics.json")
    assert (score["window"], score["scales"]) == (32, [0.5, 1])
    assert score["pixels"] == whole["pixels"]
    assert segtrain("evaluate", "run=run") == 0  # as in the training
    again = stored("run/evaluate/test/metrics.json")
    assert (again["miou"], "window" in again) == (whole["miou"], False)
    assert segtrain("evaluate", "run=run", "window=96") == 0  # whole images
    network = api.load("run")
    size, sizes = (64, 96), []
    network.register_forward_hook(lambda _, inputs, __: sizes.append(tuple(inputs[0].shape[-2:])))
    list(Windows(64, 0.25).pieces(network, torch.zeros(1, 3, *size, dtype=torch.uint8)))
    assert set(sizes) == {(64, 64)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["scales=[]"], "scales=[]: expected numbers above 0, such as [0.75,1,1.25]"),
        (["scales=[1,0]"], "scales=[1, 0]: expected numbers above 0"),
        (["window=8"], "window=8: expected null, or 32 pixels or more"),
        (["window=64", "overlap=1"], "overlap=1: expected a share of a window, from 0 to below 1"),
    ],
)
@pytest.mark.usefixtures("trained")
def test_sizes_and_windows_that_are_none_are_refused(
    segtrain: Run, capsys: pytest.CaptureFixture[str], words: list[str], reason: str
):
    capsys.readouterr()
    assert segtrain("evaluate", "run=run", *words) == 2
    assert reason in capsys.readouterr().err


def test_one_image_is_one_image_in_the_report(segtrain: Run):
    words = [word for word in TINY if not word.startswith("data.test")]
    assert segtrain("train", *words, "data.test=1", "run_dir=run") == 0
    for kind in ("html", "md"):
        page = Path(f"run/evaluate/test/report.{kind}").read_text()
        assert "(bootstrap over 1 image)" in page
        assert re.search(r"\b1 image of (<b>)?test", page)
        assert "1 images" not in page
