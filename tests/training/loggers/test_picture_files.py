from pathlib import Path

import numpy as np
from PIL import Image

from segtrain.training.loggers.picture_files import PictureFiles
from segtrain.training.pictures import Gallery


def test_the_last_picture_of_each_tag_is_a_file(tmp_path: Path):
    logger = PictureFiles(tmp_path / "samples")
    assert isinstance(logger, Gallery)
    pictures = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), np.uint8)
    for step, (tag, picture) in enumerate(zip(("images/val", "images/confusion", "images/val"), pictures, strict=True)):
        logger.log_picture(tag, picture, step)
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["confusion.png", "val.png"]
    for name, picture in (("confusion", pictures[1]), ("val", pictures[2])):
        with Image.open(tmp_path / "samples" / f"{name}.png") as file:
            assert (np.asarray(file) == picture).all()


def test_a_link_in_the_place_of_a_picture_is_not_followed(tmp_path: Path):
    (tmp_path / "samples").mkdir()
    (tmp_path / "mine.txt").write_text("mine")
    for name in ("val.png", "val.png.tmp"):
        (tmp_path / "samples" / name).symlink_to(tmp_path / "mine.txt")
    PictureFiles(tmp_path / "samples").log_picture("images/val", np.zeros((2, 2, 3), np.uint8), 1)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert not (tmp_path / "samples" / "val.png").is_symlink()
