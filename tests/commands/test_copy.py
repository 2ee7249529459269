"""`copy`: files of the configuration, where they can be edited."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from segtrain.build import conf_folder
from segtrain.config import shipped_choices

Run = Callable[..., int]
SMALL = ["data.size=[32,32]", "data.crop=[32,32]", "data.train=4", "data.val=2", "data.test=2", "train.steps=2"]


def offered(printed: str) -> list[list[str]]:
    """The words of the commands in what was printed."""
    return [shlex.split(words) for words in re.findall(r"python -m segtrain (.*)", printed)]


@pytest.mark.parametrize("group", ["experiment", "data", "model", "loss", "augment", "optimizer", "logger"])
def test_a_copy_composes_to_what_it_was_copied_from(
    group: str, segtrain: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    name = shipped_choices(group)[-1]
    assert segtrain("copy", f"{group}={name}") == 0
    _, words = offered(capsys.readouterr().out)
    assert segtrain(*words) == 0
    copied = yaml.safe_load(capsys.readouterr().out)
    assert segtrain("train", f"{group}={name}", "--cfg", "job") == 0
    original = yaml.safe_load(capsys.readouterr().out)
    assert {**copied, "typed": None} == {**original, "typed": None}


@pytest.mark.slow
def test_what_was_edited_is_trained_by_the_printed_command(
    segtrain: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert segtrain("copy", "model=fcn_tiny", "to=narrow") == 0
    words, _ = offered(capsys.readouterr().out)
    file = tmp_path / "conf" / "model" / "narrow.yaml"
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# A copy of model=fcn_tiny of segtrain ")
    file.write_text(text.replace("widths: [48, 32, 24, 16]", "widths: [8, 8, 8, 8]"), encoding="utf-8")
    assert segtrain(*words, *SMALL, "run_dir=run", "trainer.accelerator=cpu", "data.workers=0") == 0
    settings = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text(encoding="utf-8"))
    assert (settings["name"], settings["model"]["widths"]) == ("shapes-narrow", [8, 8, 8, 8])


def test_a_recipe_stays_one(segtrain: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert segtrain("copy", "experiment=camvid_cpu") == 0
    first, second, *rest = Path("conf/experiment/my_camvid_cpu.yaml").read_text(encoding="utf-8").splitlines()
    original = (conf_folder() / "experiment" / "camvid_cpu.yaml").read_text(encoding="utf-8").splitlines()
    assert [first, *rest] == original
    assert second.startswith("# A copy of experiment=camvid_cpu of segtrain ")
    assert "train experiment=my_camvid_cpu data.root=FOLDER\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "copy what? For example: python -m segtrain copy experiment=camvid_cpu"),
        (["experiment=camvid_cp"], "did you mean camvid_cpu"),
        (["experiment=nothing_like_it"], "(there are aerial, camvid_cpu, camvid_gpu, camvid_pretrained, nuclei)"),
        (["experiment=../train"], "experiment=../train: there is no such choice"),
        (["loss"], "copy loss=NAME: NAME is one of boundary, ce_dice, "),
        (["modle=fcn_tiny"], "modle=fcn_tiny: there is no such group: did you mean model?"),
        (["hydra=settings"], "hydra=settings: there is no such group"),
        (["model=fcn_tiny", "loss=dice"], "copy takes one choice, and there are model=fcn_tiny and loss=dice"),
        (["model=fcn_tiny", "to=fcn_small"], "to=fcn_small: a shipped model has this name"),
        (["model=fcn_tiny", "to=a/b"], "to=a/b: expected a name"),
        (["model=fcn_tiny", "to=taken"], "conf/model/taken.yaml is there already"),
    ],
)
def test_what_cannot_be_copied_is_said_and_nothing_written(
    words: list[str], message: str, segtrain: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    taken = tmp_path / "conf" / "model" / "taken.yaml"
    taken.parent.mkdir(parents=True)
    taken.write_text("mine", encoding="utf-8")
    assert segtrain("copy", *words) == 2
    assert message in capsys.readouterr().err
    assert [file.read_text(encoding="utf-8") for file in tmp_path.rglob("*.yaml")] == ["mine"]
