import json
import shutil
from collections.abc import Callable
from html import escape as html_escape
from html import unescape
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import segtrain as api
from segtrain.report import screen
from segtrain.report.changed import changed_row
from segtrain.report.comparison import Scored
from segtrain.report.page import css_colors
from segtrain.report.per_image import per_image_npz, read_per_image
from tests.commands.test_evaluate import ON_FOLDERS, write_folder
from tests.report.test_comparison import NAMES, network

commands_compare = import_module("segtrain.commands.compare")
PARTS = ("data", "model", "loss", "optimizer", "schedule", "augment", "trainer")
SPEC = {"_target_": "segtrain.Part"}
SETTINGS = {"name": "photos-fcn", "seed": 0, "train": {"steps": 9}, **dict.fromkeys(PARTS, SPEC)}


def run_of(
    folder: Path, scored: Scored, split: str = "test", noted: dict[str, Any] | None = None, **changes: Any
) -> str:
    """A run folder that holds what `compare` reads; `noted` is what older runs have not in their `environment.json`."""
    target = folder / "evaluate" / split
    target.mkdir(parents=True)
    (target / "per_image.npz").write_bytes(per_image_npz(scored.images))
    (folder / "config.yaml").write_text(yaml.safe_dump({**SETTINGS, **changes}))
    (folder / "environment.json").write_text(json.dumps(noted or {}))
    return folder.name


@pytest.fixture
def compare(segtrain: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Words -> (exit status, what was printed, what went wrong), in an empty folder."""

    def call(*words: str) -> tuple[int, str, str]:
        status = segtrain("compare", *words)
        out, err = capsys.readouterr()
        return status, out, err

    return call


def test_two_networks_are_compared(compare: Callable[..., Any], tmp_path: Path):
    run_of(tmp_path / "A", network("A", 0.6))
    run_of(tmp_path / "B", network("B", 0.7), optimizer={**SPEC, "lr": 0.01})
    status, out, err = compare("runs=[A,B]")
    assert (status, err) == (0, "")
    assert "B is better than A by" in out
    assert "Pictures of images that changed most are missing: runs=A: it has no best.ckpt yet" in out
    assert "missing" not in compare("runs=[A,B]", "pictures=false")[1]
    assert "Whether the recipe of B is better than that of A is not said: that takes 3 seeds of each" in out
    written = tmp_path / "A" / "compare"
    assert sorted(path.name for path in written.iterdir()) == ["compare.html", "compare.json", "compare.md"]
    stored = json.loads((written / "compare.json").read_text())
    (pair,) = stored["differences"]
    assert pair["sentence"] in out
    low, high = pair["miou"]["interval"]
    assert 0 < low < pair["miou"]["difference"] < high
    assert list(pair["classes"]) == list(NAMES)
    assert len(pair["changed"]) == 10
    assert pair["sentence"] in (written / "compare.html").read_text()


def test_a_run_with_itself_and_seeds_of_one_recipe(compare: Callable[..., Any], tmp_path: Path):
    for seed in range(3):
        run_of(tmp_path / f"r{seed}", network("", 0.6, noise=seed), "val", seed=seed, data={**SPEC, "workers": seed})
    status, out, _ = compare("runs=r0,r0,r1,r2", "out=there")
    assert status == 0
    assert "r0 against r0: no difference" in out
    assert "r0, r1, r2: one recipe, 3 seeds" in out
    assert "none of them is a better one" in out
    assert "recipe" not in compare("runs=r0,r0")[1]
    assert (tmp_path / "there" / "compare.html").is_file()


def test_three_seeds_of_each_recipe(compare: Callable[..., Any], tmp_path: Path):
    for seed in range(3):
        run_of(tmp_path / f"a{seed}", network("", 0.6, noise=seed), seed=seed)
        run_of(tmp_path / f"b{seed}", network("", 0.7, noise=seed + 10), seed=seed, optimizer={**SPEC, "lr": 0.1})
    status, out, _ = compare("runs=[a0,a1,a2,b0,b1,b2]")
    assert status == 0
    assert "The recipe of b0 is better than that of a0 (+" in out


def test_a_distilled_run_and_a_plain_one_are_two_recipes(compare: Callable[..., Any], tmp_path: Path):
    def run(name: str, seed: int, **changes: Any) -> None:
        run_of(tmp_path / name, network("", 0.6, noise=seed), seed=seed, **changes)

    run("plain", 0, teacher=None, cwd="/a")
    run("taught", 1, teacher="first.ckpt", cwd="/a")
    run("again", 2, teacher="../a/first.ckpt", cwd="/b")
    run("other", 3, teacher="first.ckpt", cwd="/b")
    run("noted", 4, teacher="x.ckpt", noted={"teacher": "37"})
    run("moved", 5, teacher="y.ckpt", noted={"teacher": "37"})
    out = compare("runs=plain,taught,again,other,noted,moved")[1]
    assert "taught, again: one recipe, 2 seeds" in out
    assert "noted, moved: one recipe, 2 seeds" in out
    for name in ("taught", "other", "noted"):
        assert f"Whether the recipe of {name} is better than that of plain is not said" in out


def test_runs_on_other_data_are_other_recipes_and_unknown_data_are_equal(compare: Callable[..., Any], tmp_path: Path):
    before, after = {"data": "1f"}, {"data": "2e"}  # images were added
    notes = {"a0": before, "a1": before, "b0": after, "b1": after, "old0": {}, "old1": {"data": ["no text"]}}
    for seed, (name, noted) in enumerate(notes.items()):
        run_of(tmp_path / name, network("", 0.6, noise=seed), seed=seed, noted=noted)
    (tmp_path / "old0" / "environment.json").unlink()
    out = compare("runs=a0,a1,b0,b1,old0,old1")[1]
    assert [line.partition(": one recipe, 2 seeds")[0] for line in out.splitlines() if "one recipe" in line] == [
        "a0, a1",
        "b0, b1",
        "old0, old1",
    ]


def test_where_runs_were_begun_and_what_they_are_called_makes_no_recipe(compare: Callable[..., Any], tmp_path: Path):
    places = ("/home/one", "/home/two", "/home/three")
    for seed, cwd in enumerate(places):
        changes = {"name": f"photos{seed}-fcn", "data": {**SPEC, "root": "photos"}, "init": "/first.ckpt"}
        run_of(tmp_path / f"r{seed}", network("", 0.6, noise=seed), seed=seed, cwd=cwd, **changes)
    assert "r0, r1, r2: one recipe, 3 seeds" in compare("runs=r0,r1,r2")[1]
    run_of(tmp_path / "other", network("", 0.6), seed=3, cwd="/home/one", **{**changes, "init": "first.ckpt"})
    assert "Whether the recipe of other is better than that of r0" in compare("runs=r0,r1,r2,other")[1]


def test_how_the_runs_were_made_stands_in_every_file(compare: Callable[..., Any], tmp_path: Path):
    run_of(tmp_path / "A", network("A", 0.6), noted={"data": "1f", "segtrain": "1.2.3", "torch": "2.9.0"})
    run_of(tmp_path / "B", network("B", 0.7), optimizer={**SPEC, "lr": 0.01})
    (tmp_path / "A" / "overrides.txt").write_text("data.root=my photos\nseed=1\n")
    assert compare("runs=A,B")[0] == 0
    written = tmp_path / "A" / "compare"
    stored = json.loads((written / "compare.json").read_text())
    command = "python -m segtrain train 'data.root=my photos' seed=1"
    assert [run["made"] for run in stored["runs"]] == [
        {
            "folder": str(tmp_path / "A"),
            "fingerprint of the data": "1f",
            "trained by": command,
            "trained with": "segtrain 1.2.3, torch 2.9.0",
        },
        {"folder": str(tmp_path / "B"), "fingerprint of the data": "unknown"},
    ]
    assert stored["settings"] == {"data (fingerprint)": ["1f", "unknown"], "optimizer.lr": ["-", "0.01"]}
    html, markdown = (unescape((written / f"compare.{kind}").read_text()) for kind in ("html", "md"))
    assert f"<dt>trained by<dd>{command}\n" in html
    assert f"- trained by: {command}\n" in markdown
    assert '<tr><td class="name">optimizer.lr<td class="value">-<td class="value">0.01</tr>' in html
    assert "| optimizer.lr | - | 0.01 |" in markdown


def test_what_a_stranger_has_noted_is_shown_as_text(compare: Callable[..., Any], tmp_path: Path):
    noted = {"data": "\ud800", "segtrain": ["1"], "torch": "\x1b[31m", "commit": {"a": 1}}
    for name in "AB":
        run_of(tmp_path / name, network(name, 0.6), noted=noted)
    (tmp_path / "A" / "overrides.txt").write_bytes(b"a=\xff\x1b\n<b>\n")
    assert compare("runs=A,B")[::2] == (0, "")
    made = json.loads((tmp_path / "A/compare/compare.json").read_text())["runs"][0]["made"]
    assert made["fingerprint of the data"] == "\ufffd"
    assert made["trained by"] == "python -m segtrain train 'a=\ufffd\ufffd' '<b>'"
    assert made["trained with"] == "torch \ufffd[31m"
    assert "commit of the training" not in made
    assert "<b>" not in (tmp_path / "A/compare/compare.html").read_text()


@pytest.mark.parametrize(
    ("score", "said"),
    [
        ("val", True),
        ("val-uncorrected-flip", True),
        ("cross-5", True),
        ("test", False),
        ("train", False),
        ("val-test", False),  # of a folder val
        ("photos-val", False),
    ],
)
def test_that_val_chose_the_checkpoints_is_said(compare: Callable[..., Any], tmp_path: Path, score: str, said: bool):
    for name in "AB":
        run_of(tmp_path / name, network(name, 0.6), score)
    line = "val also chose the checkpoints of these runs, so these scores flatter them."
    assert (line in compare("runs=A,B", f"split={score}")[1]) == said
    assert (line in (tmp_path / "A/compare/compare.md").read_text()) == said


@pytest.mark.slow
def test_what_trainings_note_tells_their_recipes_apart(
    compare: Callable[..., Any], segtrain: Callable[..., int], monkeypatch: pytest.MonkeyPatch
):
    def train(*words: str) -> None:
        assert segtrain("train", *ON_FOLDERS, *words) == 0

    write_folder(Path("photos"), 3)
    train("data.root=photos", "run_dir=A")
    Path("other").mkdir()
    monkeypatch.chdir("other")
    train("data.root=../photos", "seed=1", "run_dir=../B")
    monkeypatch.chdir("..")
    train("data.root=photos", "seed=2", "teacher=A", "run_dir=taught")
    train("data.root=photos", "seed=3", "init=latest", "run_dir=begun")
    train("data.root=photos", "seed=4", "run_dir=longer")
    assert segtrain("train", "resume=longer", "train.steps=9", "allow_changes=true") == 0
    assert yaml.safe_load(Path("begun/config.yaml").read_text())["init"].endswith("taught/checkpoints/best.ckpt")
    for folder in ("images", "masks"):
        shutil.copy(f"photos/{folder}/train/0.png", f"photos/{folder}/train/9.png")
    train("data.root=photos", "seed=5", "run_dir=more")
    out = compare("runs=A,B,taught,begun,longer,more", "pictures=false")[1]
    assert "A, B: one recipe, 2 seeds" in out
    for name in ("taught", "begun", "longer", "more"):
        assert f"Whether the recipe of {name} is better than that of A is not said" in out


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["runs=[A,gone]"], "runs=gone: there is no such run folder"),
        (["runs=A"], "runs=A: name two runs or more, as in runs=[A,B]"),
        ([], "compare needs runs=FOLDERS: it has no value yet"),
        (["runs=[A,bare]"], "bare: it has no scores of images yet: type"),
        (["runs=[A,B]", "split=val"], "type python -m segtrain evaluate run=A split=val first"),
        (["runs=[A,torn]"], "per_image.npz: no scores of images, or damaged"),
        (["runs=[A,few]"], "A and few cannot be compared: they were scored on other images (80 and 70, such as 070)"),
    ],
)
def test_what_cannot_be_compared(compare: Callable[..., Any], tmp_path: Path, words: list[str], error: str):
    run_of(tmp_path / "A", network("A", 0.6))
    run_of(tmp_path / "B", network("B", 0.7))
    run_of(tmp_path / "few", network("few", 0.7, images=70))
    (tmp_path / "bare").mkdir()
    run_of(tmp_path / "torn", network("torn", 0.7))
    (tmp_path / "torn/evaluate/test/per_image.npz").write_bytes(b"PK")
    status, _, err = compare(*words)
    assert (status, err.count("\n")) == (2, 1)
    assert error in err
    assert not (tmp_path / "A" / "compare").exists()


def test_nothing_is_written_through_a_link_out_of_the_run(compare: Callable[..., Any], tmp_path: Path):
    run_of(tmp_path / "A", network("A", 0.6))
    run_of(tmp_path / "B", network("B", 0.7))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "A" / "compare").symlink_to(tmp_path / "elsewhere")
    assert compare("runs=[A,B]")[0] == 2
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.fixture
def two_runs(segtrain: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    """Runs `A` and `B` on photos, `B` of another seed."""
    write_folder(Path("photos"), 3)
    for name, seed in (("A", 0), ("B", 1)):
        assert segtrain("train", *ON_FOLDERS, "data.root=photos", f"seed={seed}", f"run_dir={name}") == 0
    capsys.readouterr()


@pytest.mark.slow
@pytest.mark.usefixtures("two_runs")
def test_what_both_networks_make_of_the_images_is_shown(
    compare: Callable[..., Any], segtrain: Callable[..., int], monkeypatch: pytest.MonkeyPatch
):
    shown: list[tuple[str, np.ndarray, tuple[np.ndarray, np.ndarray]]] = []

    def noting(name: str, remark: str, image: np.ndarray, truth: np.ndarray, answers: Any, classes: Any) -> Any:
        shown.append((name, truth, answers))
        return changed_row(name, remark, image, truth, answers, classes)

    monkeypatch.setattr(commands_compare, "changed_row", noting)
    monkeypatch.setattr(screen, "FIRST_GAP", 0)
    status, out, err = compare("runs=A,B")
    assert (status, err) == (0, "")
    assert "missing" not in out
    assert "showing what changed: 1 of 2, 0:0" in out
    html = Path("A/compare/compare.html").read_text()
    assert html.count("<figcaption>second</figcaption>") == len(shown) == 2
    first, second, third = css_colors(api.load("A").classes)
    for name, color in (("c0", first), ("c1", second), ("c2", third)):
        assert f'<span class="swatch" style="background: {color}"></span>{name}<td>' in html
    scores = [read_per_image(Path(run, "evaluate/val/per_image.npz")) for run in "AB"]
    for name, truth, answers in shown:
        for answer, score in zip(answers, scores, strict=True):
            index = list(score.names).index(name)
            assert np.bincount(answer.ravel(), minlength=3).tolist() == score.predicted[index].tolist()
            assert (answer == truth).sum() == score.hits[index].sum()
    for run in "AB":
        segtrain("evaluate", f"run={run}", "flip=true", "label_problems=0")
    assert "missing" not in compare("runs=A,B", "split=val-flip")[1]


@pytest.mark.slow
@pytest.mark.usefixtures("two_runs")
def test_a_comparison_needs_neither_networks_nor_data(compare: Callable[..., Any], segtrain: Callable[..., int]):
    def missing(*words: str) -> str:
        status, out, err = compare("runs=A,B", *words)
        assert (status, err) == (0, "")
        assert "B is" in out or "B against A" in out
        (line,) = (line for line in out.splitlines() if line.startswith("Pictures of images that changed most are"))
        assert html_escape(line) in Path("A/compare/compare.html").read_text()
        return line

    Path("photos").rename("moved")
    assert "type data.root=FOLDER" in missing()
    assert "missing" not in compare("runs=A,B", "data.root=moved")[1]
    Path("moved").rename("photos")
    Path("photos/images/val/0.png").rename("photos/images/val/9.png")
    Path("photos/masks/val/0.png").rename("photos/masks/val/9.png")
    assert "0: it is not among the images of the run any more" in missing()
    Path("B/checkpoints/best.ckpt").write_bytes(b"PK")
    assert "best.ckpt: not a readable checkpoint" in missing()
    for run in "AB":
        shutil.copytree(f"{run}/evaluate/val", f"{run}/evaluate/val-ensemble-2")
    assert "val-ensemble-2 is a score of several networks" in missing("split=val-ensemble-2")


@pytest.mark.usefixtures("two_runs")
def test_a_strangers_run_builds_only_what_is_allowed(compare: Callable[..., Any]):
    content = torch.load("B/checkpoints/best.ckpt", weights_only=True)
    record = json.loads(content["segtrain"]["record"])
    record["settings"]["data"] = {"_target_": "pathlib.Path", "path": "photos"}
    content["segtrain"]["record"] = json.dumps(record)
    torch.save(content, "B/checkpoints/best.ckpt")
    status, out, _ = compare("runs=A,B")
    assert status == 0
    assert "allow=[pathlib.Path]" in out
    assert "Pictures of images that changed most are missing" in out
