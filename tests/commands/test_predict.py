from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import segtrain as api
from segtrain.data.images import read_image
from tests.commands.conftest import TINY

Run = Callable[..., int]
RNG = np.random.default_rng(0)


@pytest.fixture
def trained(segtrain: Run) -> Run:
    assert segtrain("train", *TINY, "run_dir=run") == 0
    return segtrain


def photo(path: str, size: tuple[int, int] = (20, 30), **options: object) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (*size, 3), np.uint8)).save(path, **options)
    return Path(path)


def test_a_mask_is_what_the_network_predicts_with_the_class_palette(trained: Run):
    path = photo("new/a.png")
    assert trained("predict", "run=latest", f"images={path}") == 0
    network, classes, _ = api.load("run")
    with Image.open("run/predict/masks/a.png") as mask:
        assert mask.mode == "P"
        assert mask.getpalette()[: 3 * len(classes)] == classes.colors.flatten().tolist()
        assert np.asarray(mask).tolist() == api.predict(network, read_image(path)).tolist()
    with Image.open("run/predict/overlays/a.png") as overlay:
        assert overlay.size == (30, 20)


def test_the_tree_of_a_folder_is_mirrored(trained: Run):
    for name in ("new/a.png", "new/day 2/b.jpg", "new/day 2/deep/c.png"):
        photo(name)
    assert trained("predict", "run=run", "images=new", "out=done") == 0
    masks = sorted(path.relative_to("done/masks").as_posix() for path in Path("done/masks").rglob("*.png"))
    assert masks == ["a.png", "day 2/b.png", "day 2/deep/c.png"]
    assert not list(Path("done").rglob("*.tmp"))


def test_a_glob_mirrors_the_tree_below_its_fixed_part(trained: Run):
    for name in ("new/x/a.png", "new/y/a.png", "new/y/b.jpg"):
        photo(name)
    assert trained("predict", "run=run", "images=new/*/a.png", "out=done") == 0
    masks = sorted(path.relative_to("done/masks").as_posix() for path in Path("done/masks").rglob("*.png"))
    assert masks == ["x/a.png", "y/a.png"]


def test_the_orientation_of_a_camera_is_kept(trained: Run):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo("turned.jpg", (20, 30), exif=exif)
    assert trained("predict", "run=run", "images=turned.jpg") == 0
    with Image.open("run/predict/masks/turned.png") as mask:
        assert mask.size == (20, 30)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("nothing/*.jpg", "images=nothing/*.jpg: no image found"),
        ("empty", "images=empty: no image found"),
        ("text.png", "text.png: not an image that can be read"),
        ("twins", "would both become a.png"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_written(
    trained: Run, capsys: pytest.CaptureFixture[str], images: str, message: str
):
    Path("empty").mkdir()
    Path("text.png").write_text("not an image")
    photo("twins/a.png")
    photo("twins/a.jpg")
    capsys.readouterr()
    assert trained("predict", "run=run", f"images={images}") == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err
    assert not Path("run/predict").exists()
