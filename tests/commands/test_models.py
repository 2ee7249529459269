"""`models`: what is listed, and that its numbers are those of others."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from segtrain.commands import models

CONF = Path(__file__).parents[2] / "conf" / "model"
Run = Callable[..., int]


@pytest.mark.slow
def test_every_choice_of_conf_model_is_listed_with_its_costs_and_weights(segtrain: Run, capsys: pytest.CaptureFixture):
    assert segtrain("models", "size=[64,64]") == 0
    out, err = capsys.readouterr()
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert all(any(line.startswith(f"model={path.stem} ") for line in lines) for path in CONF.glob("*.yaml"))
    assert "model=fcn_r50 36.31 M 1.0; IMAGENET1K_V1, IMAGENET1K_V2" in lines
    assert "model=fcn_tiny 0.92 M 0.0; none" in lines
    assert any(line.startswith("model=torchvision model.name=lraspp_mobilenet_v3_large 3.22 M") for line in lines)
    assert err == ""


def test_fcn_tiny_has_under_a_million_parameters():
    parameters, _ = models.costs(models.choice("fcn_tiny"), (64, 64), 11)
    assert parameters < 1_000_000


def test_lraspp_costs_what_torchvision_publishes():
    from torchvision.models.segmentation import LRASPP_MobileNet_V3_Large_Weights

    published = LRASPP_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1.meta
    model = models.choice("torchvision") | {"name": "lraspp_mobilenet_v3_large"}
    parameters, flops = models.costs(model, (520, 520), 21)
    assert parameters == published["num_params"]
    assert flops / 2e9 == pytest.approx(published["_ops"], rel=0.05)


@pytest.mark.slow
def test_a_word_finds_networks_of_all_libraries(segtrain: Run, capsys: pytest.CaptureFixture):
    pytest.importorskip("timm")
    assert segtrain("models", "find=convnext_tiny", "size=[64,64]") == 0
    out = capsys.readouterr().out
    assert "model=fcn_torchvision model.encoder=convnext_tiny" in out
    assert "model=timm model.encoder=convnext_tiny" in out
    assert "fb_in1k" in out


def test_what_cannot_be_an_encoder_says_why(segtrain: Run, capsys: pytest.CaptureFixture):
    assert segtrain("models", "find=alexnet") == 0
    assert "is no whole fraction of an image" in capsys.readouterr().out


def test_more_than_so_many_are_counted(segtrain: Run, capsys: pytest.CaptureFixture):
    assert segtrain("models", "find=fcn_r", "size=[64,64]", "most=2") == 0
    *rows, last = capsys.readouterr().out.splitlines()
    number = int(last.removeprefix("and ").partition(" ")[0])
    assert number > 2
    assert last == f"and {number} more: most={number + 2} lists all, another find=WORD fewer"
    assert len([row for row in rows if row.startswith("model=")]) == 2
    assert segtrain("models", "most=0") == 2
    assert "most=0: expected a number of rows, 1 or more" in capsys.readouterr().err


def test_a_word_that_nothing_has_is_an_error(segtrain: Run, capsys: pytest.CaptureFixture):
    assert segtrain("models", "find=nothing_at_all") == 2
    assert "no network has that in its name" in capsys.readouterr().err


def test_without_an_extra_its_row_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "timm", None)  # its import fails
    words = models.described(models.choice("timm"), (64, 64), 2)
    assert words.startswith("model=timm needs more packages: pip install 'segtrain[timm]'")


def test_a_choice_is_composed_as_hydra_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "base.yaml").write_text(yaml.safe_dump({"encoder": {"widths": [1, 2], "depths": [3]}, "skips": 4}))
    (folder / "other.yaml").write_text("defaults: [base]\nencoder:\n  depths: [5, 6]\n")
    monkeypatch.setattr(models, "conf_folder", lambda: tmp_path)
    assert models.choices() == ["base", "other"]
    assert models.choice("other") == {"encoder": {"widths": [1, 2], "depths": [5, 6]}, "skips": 4}
