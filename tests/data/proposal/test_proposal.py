"""What masks of many encodings are taken for: the proposed table gives back the classes that were painted."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from segtrain.data.classes import ClassTable
from segtrain.data.files.masks import MaskFile, read_mask
from segtrain.data.files.pair import Pair
from segtrain.data.proposal.class_files import Listed
from segtrain.data.proposal.proposal import Proposal, propose
from segtrain.data.survey.facts import MaskFacts
from segtrain.data.survey.measure import examine_mask
from segtrain.data.survey.tally import tally

COLORS = np.array(
    [[0, 0, 0], [60, 16, 152], [110, 193, 228], [254, 221, 58], [226, 169, 41], [155, 155, 155], [128, 0, 0]], np.uint8
)
RED = np.array([1, 0, 0], np.uint8)
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
    return examine_mask(Pair(path.stem, path, MaskFile(path)), 10_000_000)


def thin_lines(number: int = 12, size: tuple[int, int] = (60, 80)) -> list[np.ndarray]:
    """Class 1 is lines of two pixels."""
    found = []
    for i in range(number):
        mask = np.zeros(size, np.uint8)
        mask[5 + 3 * i : 7 + 3 * i], mask[:, 3 + 5 * i : 5 + 5 * i] = 1, 1
        found.append(mask)
    return found


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
    read = [table.encode(read_mask(path, coding=table.coding)) for path in paths]
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


def tiff(path: Path, picture: Image.Image) -> Path:
    picture.save(path.with_suffix(".tif"))
    return path.with_suffix(".tif")


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
    "palette of one colour": (6, lambda path, mask, i: png(path, palette(mask, 0 * COLORS)), "palette"),
    "palette of one colour, two classes": (2, lambda path, mask, i: png(path, palette(mask, 0 * COLORS)), "palette"),
    "32 bits": (4, lambda p, m, i: tiff(p, Image.fromarray(m.astype(np.int32))), "class index"),
    "whole numbers with a point": (4, lambda p, m, i: tiff(p, Image.fromarray(m.astype(np.float32))), "class index"),
    "numbers in the red channel": (6, lambda p, m, i: png(p, Image.fromarray(m[..., None] * RED)), "RGB colours"),
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


def once_jpeg(path: Path, picture: Image.Image, quality: int) -> Path:
    with Image.open(jpeg(path, picture, quality)) as spoilt:
        return png(path, spoilt)


def noisy(path: Path, mask: np.ndarray, i: int) -> Path:
    """Each pixel is 0 to 3, or 250 to 255."""
    rng = np.random.default_rng(i)
    values = np.where(mask > 0, rng.integers(250, 256, mask.shape), rng.integers(0, 4, mask.shape))
    return png(path, Image.fromarray(values.astype(np.uint8)))


LOSSY: dict[str, tuple[int, Save, str, float]] = {
    "JPEG 0 and 255": (2, lambda p, m, i: jpeg(p, Image.fromarray(255 * m), 80), "JPEG", 1),
    "JPEG 0 and 255 as colours": (2, lambda p, m, i: jpeg(p, Image.fromarray(255 * m).convert("RGB"), 90), "JPEG", 1),
    "JPEG of colours": (4, lambda p, m, i: jpeg(p, Image.fromarray(COLORS[m]), 90), "JPEG colours", 0.93),
    "PNG that was JPEG": (2, lambda p, m, i: once_jpeg(p, Image.fromarray(255 * m), 80), "soft", 1),
    "noise": (2, noisy, "soft", 1),
    "soft edges": (
        2,
        lambda p, m, i: png(p, Image.fromarray(255 * m).filter(ImageFilter.GaussianBlur(0.8))),
        "soft",
        0.99,
    ),
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


@pytest.mark.parametrize("quality", [60, 75, 95])
def test_jpeg_of_thin_lines_is_two_classes(tmp_path: Path, quality: int):
    masks = thin_lines()
    paths = written(tmp_path, masks, lambda p, m, i: jpeg(p, Image.fromarray(255 * m), quality))
    assert agreement(paths, masks, table_of(proposed(paths))) >= 0.99


def test_indices_beside_several_bright_values_are_no_noise(tmp_path: Path):
    masks = scenes(7)
    paths = written(tmp_path, masks, greys([0, 1, 2, 3, 253, 254, 255]))
    assert agreement(paths, masks, table_of(proposed(paths))) == 1


def test_many_class_indices_stay_so(tmp_path: Path):
    """As many as soft edges have shades, but in solid places."""
    masks = [
        np.arange(10 * i, 10 * i + 100, dtype=np.uint8).reshape(10, 10).repeat(6, 0).repeat(8, 1) for i in range(12)
    ]
    proposal = proposed(written(tmp_path, masks, greys(range(256))))
    assert (proposal.kind, len(table_of(proposal))) == ("class index", 210)


def test_edges_of_all_shades_are_no_class_indices(tmp_path: Path):
    masks = [np.kron(mask, np.ones((4, 4), np.uint8)) for mask in scenes(2)]
    soft: Save = lambda p, m, i: png(p, Image.fromarray(255 * m).filter(ImageFilter.GaussianBlur(1 + i / 4)))  # noqa: E731
    paths = written(tmp_path, masks, soft)
    assert len({value for path in paths for value in facts_of(path).counts}) > 200
    proposal = proposed(paths)
    assert proposal.kind == "soft"
    assert agreement(paths, masks, table_of(proposal)) > 0.97


def photo(path: Path, mask: np.ndarray, i: int) -> Path:
    return png(path, Image.fromarray(np.random.default_rng(i).integers(0, 256, (*mask.shape, 3), np.uint8)))


def objects_in_colour(path: Path, mask: np.ndarray, i: int) -> Path:
    colors = np.random.default_rng(i).integers(1, 256, (50, 3), np.uint8)
    numbers = np.arange(49).reshape(7, 7).repeat(8, 0).repeat(8, 1)
    return png(path, Image.fromarray(colors[numbers]))


def jpeg_photo(path: Path, mask: np.ndarray, i: int) -> Path:
    blocks = np.random.default_rng(i).integers(0, 256, (8, 8, 3), np.uint8)
    return jpeg(path, Image.fromarray(blocks).resize((160, 120), Image.Resampling.BICUBIC), 90)


def soft_greys(path: Path, mask: np.ndarray, i: int) -> Path:
    """A third class, rarer than the brightest, lies between the ends."""
    levels = np.array([0, 255, 127], np.uint8)[mask]
    return png(path, Image.fromarray(levels).filter(ImageFilter.GaussianBlur(1.2)))


REFUSED: dict[str, tuple[int, Save, str]] = {
    "JPEG of indices": (6, lambda p, m, i: jpeg(p, Image.fromarray(m), 75), "JPEG has changed the numbers"),
    "JPEG of three greys": (3, lambda p, m, i: jpeg(p, Image.fromarray(127 * m), 90), "JPEG has changed the numbers"),
    "JPEG of one colour": (
        2,
        lambda p, m, i: jpeg(p, Image.fromarray(0 * m[..., None] + COLORS[1]), 90),
        "JPEG has changed the colours",
    ),
    "soft edges of three greys": (3, soft_greys, "Soft edges, or noise, have added numbers"),
    "soft edges of colours": (3, lambda p, m, i: png(p, softened(m)), "Soft edges|256 colours and more"),
    "PNG of colours that was JPEG": (
        4,
        lambda p, m, i: once_jpeg(p, Image.fromarray(COLORS[m]), 90),
        "Soft edges|256 colours and more",
    ),
    "photos": (2, photo, "256 colours and more are no classes"),
    "JPEG photos": (2, jpeg_photo, "256 colours and more are no classes"),
    "a colour for each object": (2, objects_in_colour, "256 colours and more are no classes"),
}


@pytest.mark.parametrize(("classes", "save", "why"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_told_is_refused_with_the_reason_and_what_to_do(
    tmp_path: Path, classes: int, save: Save, why: str
):
    proposal = proposed(written(tmp_path, scenes(classes), save))
    assert proposal.spec is None
    (note,) = proposal.notes
    assert re.match(why, note)
    assert re.search("save the masks without loss, as PNG, with one (number|colour) for each class.$", note)


@pytest.mark.parametrize("levels", [[0, 1, 255], [0, 128, 255], [0, 85, 170, 255]])
def test_lines_too_thin_to_be_solid_are_classes_of_their_own(tmp_path: Path, levels: list[int]):
    masks = []
    for i in range(12):
        mask = np.zeros((60, 80), np.uint8)
        for index in range(1, len(levels)):
            mask[4 * i + 2 * index] = index
        masks.append(mask)
    paths = written(tmp_path, masks, greys(levels))
    assert agreement(paths, masks, table_of(proposed(paths))) == 1


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


@pytest.mark.parametrize(("first", "ignore"), [((200, 30, 90), 3), ((0, 0, 0), None)])
def test_the_last_index_is_no_class_if_it_alone_is_black_in_the_palette(
    tmp_path: Path, first: tuple[int, int, int], ignore: int | None
):
    def save(path: Path, mask: np.ndarray, _: int) -> Path:
        image = Image.fromarray(mask)
        image.putpalette(bytes([*first, 0, 90, 0, 70, 70, 200, 0, 0, 0]))
        return png(path, image)

    proposal = proposed(written(tmp_path, scenes(4), save))
    assert proposal.spec
    assert proposal.spec["ignore"] == ignore


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
        assert table.encode(read_mask(paths[0], coding=table.coding)).tolist() == masks[0].tolist()


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


def test_classes_of_one_colour_are_shown_in_others(tmp_path: Path):
    shared = COLORS.copy()
    shared[2] = shared[1]
    spec = proposed(written(tmp_path, scenes(5), lambda p, m, i: png(p, palette(m, shared)))).spec
    assert spec is not None
    shown = [tuple(entry["color"]) for entry in spec["classes"]]
    assert len(set(shown)) == 5
    assert [shown[i] for i in (0, 1, 3, 4)] == [tuple(shared[i].tolist()) for i in (0, 1, 3, 4)]


def test_numbers_in_a_channel_name_their_classes_in_order(tmp_path: Path):
    save: Save = lambda p, m, i: png(p, Image.fromarray(m[..., None] * RED))  # noqa: E731
    paths = written(tmp_path, scenes(5), save)
    assert table_of(proposed(paths)).names == tuple(f"class_{i}" for i in range(5))
    listed = [Listed(name) for name in ("ground", "house", "tree", "car", "road")]
    assert table_of(proposed(paths, listed)).names == ("ground", "house", "tree", "car", "road")
    spec = proposed(paths, [Listed("void"), *listed[1:]]).spec
    assert spec is not None
    assert (spec["ignore"], len(spec["classes"])) == ([0, 0, 0], 4)


def test_a_mask_that_stands_in_the_alpha_channel_is_said(tmp_path: Path):
    save: Save = lambda p, m, i: png(p, Image.fromarray(np.dstack([np.full((*m.shape, 3), 255, np.uint8), 255 * m])))  # noqa: E731
    notes = " ".join(proposed(written(tmp_path, scenes(2), save)).notes)
    assert "only the value 255. They have an alpha channel, which is not read" in notes


def test_masks_that_cannot_be_read_say_why(tmp_path: Path):
    below_zero = written(tmp_path, scenes(2), lambda p, m, i: tiff(p, Image.fromarray(m.astype(np.int32) - 1)))
    assert "numbers from -1 to 0" in proposed(below_zero).notes[0]


def test_a_class_file_of_greys_is_held_against_grey(tmp_path: Path):
    """Of masks that are stored as colours; neither is missed."""
    listed = [Listed("ground", (0, 0, 0)), Listed("road", (255, 255, 255))]
    paths = written(tmp_path, scenes(2), lambda p, m, i: png(p, Image.fromarray(255 * m).convert("RGB")))
    proposal = proposed(paths, listed)
    assert table_of(proposal).names == ("ground", "road")
    assert proposal.notes == ["The masks are stored as RGB, but grey: their grey is read as the value."]


def test_a_value_of_no_class_need_not_stand_in_a_class_file(tmp_path: Path):
    listed = [Listed(name, None, (i,)) for i, name in enumerate(("ground", "house", "tree"))]
    proposal = proposed(written(tmp_path, scenes(4), greys([0, 1, 2, 255])), listed)
    assert proposal.spec
    assert proposal.spec["ignore"] == 255
    assert not [note for note in proposal.notes if "does not list" in note]


def test_a_list_from_1_on_leaves_0_to_all_else(tmp_path: Path):
    listed = [Listed("wall", None, (1,)), Listed("sky", None, (2,))]
    assert table_of(proposed(written(tmp_path, scenes(3), greys(range(3))), listed)).names == ("other", "wall", "sky")


def test_labelmes_first_name_is_no_class_even_if_no_mask_has_it(tmp_path: Path):
    listed = [Listed("__ignore__", None, (255,)), Listed("_background_", None, (0,)), Listed("car", None, (1,))]
    proposal = proposed(written(tmp_path, scenes(2), greys(range(2))), listed)
    assert proposal.spec
    assert proposal.spec["ignore"] == 255
    assert table_of(proposal).names == ("_background_", "car")


def test_noise_of_few_indices_is_class_indices(tmp_path: Path):
    """Random masks, in which no two neighbours are alike, are no soft edges."""
    rng = np.random.default_rng(0)
    paths = [png(tmp_path / f"{i}", Image.fromarray(rng.integers(0, 20, (20, 20), np.uint8))) for i in range(12)]
    assert len(table_of(proposed(paths))) == 20
