from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segtrain.data.files.masks import MaskFile
from segtrain.data.files.united import UnitedMask
from segtrain.data.folder import FolderData
from segtrain.errors import UserError


def save(path: Path, mask: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)
    return path


def test_what_is_in_any_of_the_masks_is_in_the_mask(tmp_path: Path):
    one, two, three = (np.zeros((3, 4), np.uint8) for _ in range(3))
    one[0, 0], two[1, 1:3], three[1, 2] = 255, 1, 7
    coloured = np.stack([one * 0, one * 0, one.T.reshape(3, 4)], -1)
    files = tuple(save(tmp_path / f"{i}.png", mask) for i, mask in enumerate((one, two, three, coloured)))
    united = UnitedMask(tmp_path, files)
    expected = ((one + two + three + one.T.reshape(3, 4)) > 0).astype(int).tolist()
    assert (united.size(12), united.read(12, None).tolist(), united.name) == ((3, 4), expected, str(tmp_path))


def test_masks_of_other_sizes_are_named(tmp_path: Path):
    files = tuple(save(tmp_path / f"{i}.png", np.zeros((3, 4 + i), np.uint8)) for i in range(2))
    with pytest.raises(ValueError, match=r"1.png: \(3, 5\) \(height, width\), but 0.png is \(3, 4\)"):
        UnitedMask(tmp_path, files).read(100, None)


def test_a_mask_that_is_refused_as_a_file_is_refused_in_a_united_one_too(tmp_path: Path):
    files = save(tmp_path / "0.png", np.zeros((3, 4), np.uint8)), save(tmp_path / "1.png", np.zeros((30, 40), np.uint8))
    for refused in (lambda: MaskFile(files[1]).read(12, None), lambda: UnitedMask(tmp_path, files).read(12, None)):
        with pytest.raises(UserError, match=r"1\.png: 1200 pixels, more than data\.max_pixels=12"):
            refused()


def test_a_folder_with_a_mask_for_each_object_is_read_and_listed(tmp_path: Path):
    rng, rows = np.random.default_rng(0), ["image,mask,split"]
    for i in range(4):
        save(tmp_path / f"{i}/images/{i}.png", rng.integers(0, 255, (8, 8, 3), np.uint8))
        for j in range(3):
            save(tmp_path / f"{i}/masks/{j}.png", np.eye(8, k=3 * j, dtype=np.uint8) * 255)
        rows.append(f"{i}/images/{i}.png,{i}/masks,{['train', 'val'][i % 2]}")
    (tmp_path / "splits.csv").write_text("\n".join(rows))
    table = {"classes": [{"name": "background"}, {"name": "object"}]}
    data = FolderData(root=str(tmp_path), classes=table, crop=[8, 8], batch_size=1, workers=0)
    assert {split: len(source) for split, source in data.splits.items()} == {"train": 2, "val": 2}
    mask = data.source("train").read(0)[1]
    assert mask.sum() == 8 + 5 + 2
