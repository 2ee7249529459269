"""What masks of many encodings are taken for: the proposed table gives back the classes that were painted."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from segtrain.data.class_files import Listed
from segtrain.data.classes import ClassTable
from segtrain.data.encoding import Proposal, propose, tally
from segtrain.data.images import read_mask
from segtrain.data.source import Pair
from segtrain.data.survey import MaskFacts, examine_mask

COLORS = np.array(
    [[0, 0, 0], [60, 16, 152], [110, 193, 228], [254, 221, 58], [226, 169, 41], [155, 155, 155], [128, 0, 0]], np.uint8
)
Save = Callable[[Path, np.ndarray, int], Path]  # (name without suffix, class indices, number of the mask)


def scenes(classes: int, number: int = 12, size: tuple[int, int] = (60, 80)) -> list[np.ndarray]:
    """Class indices (H, W): rectangles of all classes over class 0; the last class is in the first half alone."""
    rng, found = np.random.default_rng(classes), []
    for i in range(number):
        mask = np.zeros(size, np.uint8)
        for index in range(1, classes):
            top, left = int(rng.integers(0, size[0] - 16)), int(rng.integers(0, size[1] - 16))
            if index < classes - 1 or i < number // 2 or classes == 2:
                mask[top : top + 14, left : left + 16] = index
        found.append(mask)
    return found


def facts_of(path: Path) -> MaskFacts:
    return examine_mask(Pair(path.stem, path, path), 10_000_000)


def written(folder: Path, masks: Sequence[np.ndarray], save: Save) -> list[Path]:
    return [save(folder / f"{i:03d}", mask, i) for i, mask in enumerate(masks)]


def proposed(paths: Sequence[Path], listed: Sequence[Listed] | None = None) -> Proposal:
    return propose([facts_of(path) for path in paths], listed)


def table_of(proposal: Proposal) -> ClassTable:
    assert proposal.spec is not None, proposal
    return ClassTable.from_spec(proposal.spec)


def agreement(paths: Sequence[Path], masks: Sequence[np.ndarray], table: ClassTable) -> float:
    """Share of pixels whose class is the painted one, where classes may be in another order (void being one)."""
    votes: dict[int, np.ndarray] = {}
    right = total = 0
    read = [table.encode(read_mask(path, masks=table.masks)) for path in paths]
    for given, mask in zip(read, masks, strict=True):
        for index in np.unique(given):
            votes[index] = votes.get(index, np.zeros(256, int)) + np.bincount(mask[given == index], minlength=256)
    names = {index: vote.argmax() for index, vote in votes.items()}
    assert len(set(names.values())) == len(names)
    for given, mask in zip(read, masks, strict=True):
        right += sum(int(((given == index) & (mask == name)).sum()) for index, name in names.items())
        total += mask.size
    return right / total


def png(path: Path, picture: Image.Image, **options: Any) -> Path:
    picture.save(path.with_suffix(".png"), **options)
    return path.with_suffix(".png")


def jpeg(path: Path, picture: Image.Image, quality: int) -> Path:
    picture.save(path.with_suffix(".jpg"), quality=quality)
    return path.with_suffix(".jpg")


def palette(mask: np.ndarray, colors: np.ndarray) -> Image.Image:
    picture = Image.fromarray(mask).convert("P")
    picture.putdata(mask.ravel().tolist())
    picture.putpalette(colors.tobytes())
    return picture


def greys(levels: Sequence[int], dtype: Any = np.uint8) -> Save:
    return lambda path, mask, i: png(path, Image.fromarray(np.array(levels, dtype)[mask]))


def shuffled(path: Path, mask: np.ndarray, i: int) -> Path:
    """A palette of the mask's own, as programs make one that save a mask with few colours."""
    order = np.random.default_rng(i).permutation(len(COLORS)).astype(np.uint8)
    return png(path, palette(np.argsort(order).astype(np.uint8)[mask], COLORS[order]))


def palette_or_rgb(path: Path, mask: np.ndarray, i: int) -> Path:
    return png(path, palette(mask, COLORS) if i % 3 == 0 else Image.fromarray(COLORS[mask]))


def rgba(path: Path, mask: np.ndarray, i: int) -> Path:
    return png(path, Image.fromarray(np.dstack([COLORS[mask], np.full(mask.shape, 255, np.uint8)])))


def one_bit_or_grey(path: Path, mask: np.ndarray, i: int) -> Path:
    picture = Image.fromarray(255 * mask)
    return png(path, picture.convert("1") if i % 2 else picture)


EXACT: dict[str, tuple[int, Save, str]] = {
    "0 and 255": (2, greys([0, 255]), "grey 0/255"),
    "0 and 1": (2, greys([0, 1]), "class index"),
    "1-bit": (2, lambda path, mask, i: png(path, Image.fromarray(255 * mask).convert("1")), "class index"),
    "1-bit and grey": (2, one_bit_or_grey, "grey 0/255 and 1-bit"),
    "indices": (6, greys(range(6)), "class index"),
    "indices from 1": (3, greys([1, 2, 3]), "class index"),
    "indices with gaps": (4, greys([0, 7, 15, 20]), "class index"),
    "indices and 255": (4, greys([0, 1, 2, 255]), "class index"),
    "grey levels": (4, greys([0, 85, 170, 255]), "grey levels"),
    "16 bits": (4, greys([0, 1000, 2000, 40000], np.uint16), "grey levels"),
    "palette": (6, lambda path, mask, i: png(path, palette(mask, COLORS)), "palette"),
    "2-bit palette": (4, lambda path, mask, i: png(path, palette(mask, COLORS[:4]), bits=2), "palette"),
    "palettes that differ": (6, shuffled, "RGB colours"),
    "colours": (7, lambda path, mask, i: png(path, Image.fromarray(COLORS[mask])), "RGB colours"),
    "colours with alpha": (5, rgba, "RGB colours"),
    "palette or colours": (6, palette_or_rgb, "RGB colours"),
    "0 and 255 as colours": (
        2,
        lambda path, mask, i: png(path, Image.fromarray(255 * mask).convert("RGB")),
        "grey 0/255",
    ),
}


@pytest.mark.parametrize(("classes", "save", "kind"), EXACT.values(), ids=EXACT)
def test_masks_without_loss_come_back_exactly(tmp_path: Path, classes: int, save: Save, kind: str):
    masks = scenes(classes)
    paths = written(tmp_path, masks, save)
    proposal = proposed(paths)
    assert proposal.kind == kind
    table = table_of(proposal)
    assert agreement(paths, masks, table) == 1
    for path in paths:
        share = tally(facts_of(path), table)
        assert (share.unowned, share.rest) == ({}, 0)
        assert sum(share.classes.values()) + share.void == 60 * 80


def softened(mask: np.ndarray, radius: float = 1.2) -> Image.Image:
    return Image.fromarray(COLORS[[0, 3, 1, 2]][mask]).filter(ImageFilter.GaussianBlur(radius))


LOSSY: dict[str, tuple[int, Save, str, float]] = {
    "JPEG 0 and 255": (2, lambda p, m, i: jpeg(p, Image.fromarray(255 * m), 80), "JPEG", 1),
    "JPEG 0 and 255 as colours": (2, lambda p, m, i: jpeg(p, Image.fromarray(255 * m).convert("RGB"), 90), "JPEG", 1),
    "JPEG of three greys": (3, lambda p, m, i: jpeg(p, Image.fromarray(127 * m), 90), "JPEG", 0.98),
    "JPEG of colours": (4, lambda p, m, i: jpeg(p, Image.fromarray(COLORS[m]), 90), "JPEG colours", 0.93),
    "soft edges": (
        2,
        lambda p, m, i: png(p, Image.fromarray(255 * m).filter(ImageFilter.GaussianBlur(0.8))),
        "soft",
        0.99,
    ),
    "soft edges of colours": (4, lambda p, m, i: png(p, softened(m)), "soft colours", 0.93),
    "twice the size": (
        2,
        lambda p, m, i: png(p, Image.fromarray(255 * m).resize((160, 120), Image.Resampling.BILINEAR)),
        "soft",
        0.99,
    ),
}


@pytest.mark.parametrize(("classes", "save", "kind", "least"), LOSSY.values(), ids=LOSSY)
def test_soft_and_jpeg_masks_belong_to_the_nearest(tmp_path: Path, classes: int, save: Save, kind: str, least: float):
    masks = scenes(classes)
    paths = written(tmp_path, masks, save)
    proposal = proposed(paths)
    assert proposal.kind == kind
    table = table_of(proposal)
    assert len(table) == classes
    if kind == "soft" and paths[0].stem == "000" and read_mask(paths[0]).shape != masks[0].shape:
        masks = [np.kron(mask, np.ones((2, 2), np.uint8)) for mask in masks]
    assert agreement(paths, masks, table) >= least


def photo(path: Path, mask: np.ndarray, i: int) -> Path:
    return png(path, Image.fromarray(np.random.default_rng(i).integers(0, 256, (*mask.shape, 3), np.uint8)))


def objects_in_colour(path: Path, mask: np.ndarray, i: int) -> Path:
    colors = np.random.default_rng(i).integers(1, 256, (50, 3), np.uint8)
    numbers = np.arange(49).reshape(7, 7).repeat(8, 0).repeat(8, 1)
    return png(path, Image.fromarray(colors[numbers]))


@pytest.mark.parametrize(
    ("classes", "save", "why"),
    [
        (6, lambda p, m, i: jpeg(p, Image.fromarray(m), 75), "JPEG has changed the numbers"),
        (2, photo, "colours and more are no classes|Which colours"),
        (2, objects_in_colour, "colours and more are no classes"),
    ],
    ids=["JPEG of indices", "photos", "a colour for each object"],
)
def test_what_cannot_be_classes_is_said_with_the_reason(tmp_path: Path, classes: int, save: Save, why: str):
    proposal = proposed(written(tmp_path, scenes(classes), save))
    assert proposal.spec is None
    assert re.search(why, proposal.notes[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_numbers_of_objects_are_one_class(tmp_path: Path, dtype: Any):
    paths = []
    for i, objects in enumerate((5, 9, 14, 30, 22, 17)):
        mask = np.zeros((60, 80), dtype)
        for number in range(objects):
            mask[8 * (number // 8) + 1 : 8 * (number // 8) + 7, 9 * (number % 8) + 1 : 9 * (number % 8) + 7] = (
                number + 1
            )
        paths.append(png(tmp_path / f"{i}", Image.fromarray(mask)))
    proposal = proposed(paths)
    table = table_of(proposal)
    assert (proposal.kind, table.names) == ("instance numbers", ("background", "object"))
    stored = read_mask(paths[3])
    assert table.encode(stored).tolist() == (stored > 0).astype(int).tolist()


def test_a_pair_of_classes_is_called_background_and_foreground(tmp_path: Path):
    spec = proposed(written(tmp_path, scenes(2), greys([0, 255]))).spec
    assert spec is not None
    assert [(entry["name"], entry["values"]) for entry in spec["classes"]] == [
        ("background", [0]),
        ("foreground", [255]),
    ]


def test_255_beside_class_indices_is_no_class(tmp_path: Path):
    proposal = proposed(written(tmp_path, scenes(4), greys([0, 1, 2, 255])))
    assert table_of(proposal).names == ("class_0", "class_1", "class_2")
    assert proposal.spec
    assert proposal.spec["ignore"] == 255


def test_names_come_from_a_class_file_by_colour_and_by_position(tmp_path: Path):
    masks = scenes(3)
    listed = [Listed(name, tuple(COLORS[i].tolist())) for i, name in enumerate(("ground", "house", "tree"))]
    (tmp_path / "rgb").mkdir()
    (tmp_path / "index").mkdir()
    colours = written(tmp_path / "rgb", masks, lambda p, m, i: png(p, Image.fromarray(COLORS[m])))
    indices = written(tmp_path / "index", masks, greys(range(3)))
    for paths in (colours, indices):
        table = table_of(proposed(paths, listed))
        assert table.names == ("ground", "house", "tree")
        assert table.encode(read_mask(paths[0], masks=table.masks)).tolist() == masks[0].tolist()


def test_a_class_file_is_held_against_values(tmp_path: Path):
    listed = [Listed("a", None, (0,)), Listed("b", None, (1,)), Listed("gone", None, (7,))]
    proposal = proposed(written(tmp_path, scenes(3), greys(range(3))), listed)
    assert table_of(proposal).names == ("a", "b", "class_2", "gone")
    text = " ".join(proposal.notes)
    assert "these never occur in the masks: gone." in text
    assert "the class file does not list them: 2 (" in text


def test_a_wrong_class_file_gives_only_the_names_whose_colours_occur(tmp_path: Path):
    masks = scenes(6, number=20)
    masks[3][:12, :12] = 6
    colors = np.concatenate([COLORS[1:6], [[200, 30, 90]], [[0, 0, 0]]]).astype(np.uint8)  # black is rare
    paths = written(tmp_path, masks, lambda p, m, i: png(p, Image.fromarray(colors[m])))
    listed = [Listed("Unlabeled", (155, 155, 155)), *(Listed(f"wrong{i}", (1, 2, i)) for i in range(3))]
    proposal = proposed(paths, listed)
    table = table_of(proposal)
    assert set(table.names) == {"Unlabeled", "purple", "blue", "yellow", "orange", "red"}
    assert proposal.spec
    assert proposal.spec["ignore"] == [0, 0, 0]
    text = " ".join(proposal.notes)
    for part in (
        "never occur in the masks: wrong0 #010200",
        "does not list them: #",
        "'Unlabeled' may mean",
        "Black is rare",
    ):
        assert part in text
    assert agreement(paths, masks, table) == 1


def test_jpeg_colours_are_those_that_a_class_file_lists(tmp_path: Path):
    listed = [Listed(f"class {i}", tuple(COLORS[i].tolist())) for i in range(4)]
    paths = written(tmp_path, scenes(4), lambda p, m, i: jpeg(p, Image.fromarray(COLORS[m]), 85))
    table = table_of(proposed(paths, listed))
    assert table.names == ("class 0", "class 1", "class 2", "class 3")
    assert table.colors.tolist() == COLORS[:4].tolist()


def test_a_void_class_of_the_file_is_ignored(tmp_path: Path):
    listed = [Listed("road", (60, 16, 152)), Listed("car", (110, 193, 228)), Listed("Void", (0, 0, 0))]
    proposal = proposed(written(tmp_path, scenes(3), lambda p, m, i: png(p, Image.fromarray(COLORS[m]))), listed)
    assert proposal.spec
    assert proposal.spec["ignore"] == [0, 0, 0]
    assert table_of(proposal).names == ("road", "car")


def test_a_few_pixels_of_one_mask_are_a_mistake_and_no_class(tmp_path: Path):
    masks = scenes(4)
    masks[5][0, :3] = 6
    proposal = proposed(written(tmp_path, masks, greys([0, 1, 2, 3, 4, 5, 77])))
    assert len(table_of(proposal)) == 4
    assert proposal.notes[-1] == "Taken for mistakes, each being few pixels of one mask: 77."


def test_one_jpeg_among_masks_without_loss_is_a_fault_and_no_example(tmp_path: Path):
    masks = scenes(4)
    paths = written(
        tmp_path, masks, lambda p, m, i: jpeg(p, Image.fromarray(m), 75) if i == 3 else greys(range(4))(p, m, i)
    )
    proposal = proposed(paths)
    assert (proposal.kind, len(table_of(proposal))) == ("class index", 4)


def test_one_class_alone_and_no_masks_are_said(tmp_path: Path):
    proposal = proposed([png(tmp_path / "0", Image.new("L", (4, 4)))])
    assert "All masks hold only the value 0." in proposal.notes
    assert propose([MaskFacts(problem="damaged")], None).spec is None


def test_noise_of_few_indices_is_class_indices(tmp_path: Path):
    """Random masks, in which no two neighbours are alike, are no soft edges."""
    rng = np.random.default_rng(0)
    paths = [png(tmp_path / f"{i}", Image.fromarray(rng.integers(0, 20, (20, 20), np.uint8))) for i in range(12)]
    assert len(table_of(proposed(paths))) == 20
