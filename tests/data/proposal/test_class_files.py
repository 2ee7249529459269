"""Class files in the formats that people have them."""

from pathlib import Path

import pytest

from segtrain.data.proposal.class_files import Listed, read_class_file

SKY, CAR = Listed("sky", (128, 128, 128)), Listed("car", (64, 0, 128))
FILES: dict[str, tuple[str, str, list[Listed]]] = {
    "ours": (
        "classes.yaml",
        "classes:\n- {name: sky, color: [128, 128, 128]}\n- {name: car, color: [64, 0, 128], values: [3, 4]}\n",
        [SKY._replace(values=(0,)), CAR._replace(values=(3, 4))],
    ),
    "Supervisely": (
        "classes.json",
        '{"classes": [{"title": "sky", "shape": "polygon", "color": "#808080"}, {"title": "car", "color": "#400080"}]}',
        [SKY, CAR],
    ),
    "Supervisely's meta": ("meta.json", '{"classes": [{"title": "sky", "color": "#808080"}], "tags": []}', [SKY]),
    "names": ("classes.json", '["sky", "car"]', [Listed("sky", None, (0,)), Listed("car", None, (1,))]),
    "colours by name": ("classes.json", '{"sky": [128, 128, 128], "car": "#400080"}', [SKY, CAR]),
    "numbers by name": ("classes.json", '{"sky": 0, "car": 7}', [Listed("sky", None, (0,)), Listed("car", None, (7,))]),
    "names by number": (
        "id2label.json",
        '{"0": "sky", "7": "car"}',
        [Listed("sky", None, (0,)), Listed("car", None, (7,))],
    ),
    "COCO": (
        "labels.json",
        '{"categories": [{"id": 1, "name": "sky"}, {"id": 18, "name": "car", "supercategory": "thing"}]}',
        [Listed("sky", None, (1,)), Listed("car", None, (18,))],
    ),
    "class_dict": ("class_dict.csv", "name,r,g,b\nsky,128,128,128\ncar,64,0,128\n", [SKY, CAR]),
    "class_dict of drones": ("class_dict_seg.csv", "name, r, g, b\nsky, 128, 128, 128\ncar, 64, 0, 128\n", [SKY, CAR]),
    "a table with a mark in front": ("class_dict.csv", "\ufeffname,r,g,b\nsky,128,128,128\n", [SKY]),
    "CVAT": (
        "labelmap.txt",
        "# label:color_rgb:parts:actions\nsky:128,128,128::\ncar:64,0,128:wheel,door:\n",
        [SKY, CAR],
    ),
    "CamVid": ("label_colors.txt", "128 128 128\tsky\n64 0 128\t\tcar\n", [SKY, CAR]),
    "name first": ("label_colors.txt", "sky 128 128 128\ncar 64 0 128\n", [SKY, CAR]),
    "fast.ai": ("codes.txt", "sky\ncar\n", [Listed("sky", None, (0,)), Listed("car", None, (1,))]),
    "numbered": ("labels.txt", "1 sky\n2: car\n", [Listed("sky", None, (1,)), Listed("car", None, (2,))]),
    "spaces in names": ("label_colors.txt", "1 2 3 Traffic light (red)\n", [Listed("Traffic light (red)", (1, 2, 3))]),
    "Roboflow": (
        "_classes.csv",
        "Pixel Value, Class\n0, sky\n7, car\n",
        [Listed("sky", None, (0,)), Listed("car", None, (7,))],
    ),
    "nnU-Net": (
        "dataset.json",
        '{"channel_names": {"0": "R"}, "labels": {"sky": 0, "car": 1}, "numTraining": 14}',
        [Listed("sky", None, (0,)), Listed("car", None, (1,))],
    ),
    "nnU-Net before version 2": ("dataset.json", '{"name": "a", "labels": {"1": "sky"}}', [Listed("sky", None, (1,))]),
    "labelme": (
        "class_names.txt",
        "__ignore__\n_background_\nsky\n",
        [Listed("__ignore__", None, (255,)), Listed("_background_", None, (0,)), Listed("sky", None, (1,))],
    ),
    "a class_dict of roads": ("label_class_dict.csv", "name,r,g,b\nsky,128,128,128\n", [SKY]),
    "Mapillary": (
        "config_v1.2.json",
        '{"labels": [{"color": [128, 128, 128], "readable": "sky", "name": "nature--sky", "evaluate": true}]}',
        [SKY],
    ),
    "WoodScape": (
        "seg_annotation_info.json",
        '{"class_names": ["sky", "car"], "class_colors": [[128, 128, 128], [64, 0, 128]], "class_indexes": [0, 4]}',
        [SKY._replace(values=(0,)), CAR._replace(values=(4,))],
    ),
    "A2D2": ("class_list.json", '{"#808080": "sky", "#400080": "car"}', [SKY, CAR]),
    "ADE20K": (
        "objectInfo150.txt",
        "Idx\tRatio\tTrain\tName\n1\t0.15\t11664\tsky\n2\t0.12\t6046\tcar, auto\n",
        [Listed("sky", None, (1,)), Listed("car, auto", None, (2,))],
    ),
    "RUGD": (
        "RUGD_annotation-colormap.txt",
        "0 sky 128 128 128\n7 car 64 0 128\n",
        [SKY._replace(values=(0,)), CAR._replace(values=(7,))],
    ),
    "names alone under a header": ("classes.csv", "name\nsky\ncar\n", [Listed("sky"), Listed("car")]),
    "a hexadecimal name": ("classes.json", '{"facade": "#808080"}', [Listed("facade", (128, 128, 128))]),
    "a class twice": ("labels.json", '{"0": "sky", "1": "sky"}', [Listed("sky", None, (0, 1))]),
}


@pytest.mark.parametrize(("name", "text", "entries"), FILES.values(), ids=FILES)
def test_formats_of_class_files(tmp_path: Path, name: str, text: str, entries: list[Listed]):
    (tmp_path / name).write_text(text, encoding="utf-8")
    found = read_class_file(tmp_path)
    assert found is not None
    assert found.path == tmp_path / name
    assert found.entries == entries


def entries_of(root: Path) -> list[Listed]:
    found = read_class_file(root)
    return found.entries if found else []


def test_two_levels_below_are_looked_at_but_no_hidden_folders(tmp_path: Path):
    for folder, name in ((".hidden/a", "hidden"), ("a/b/c", "too deep"), ("a/b", "deep")):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "classes.json").write_text(f'["{name}"]')
    assert [entry.name for entry in entries_of(tmp_path)] == ["deep"]


def test_the_folder_below_is_looked_at_too_and_the_nearer_file_wins(tmp_path: Path):
    below = tmp_path / "Data set (raw)"
    below.mkdir()
    (below / "classes.json").write_text('["below"]')
    assert [entry.name for entry in entries_of(tmp_path)] == ["below"]
    (tmp_path / "codes.txt").write_text("near\n")
    assert [entry.name for entry in entries_of(tmp_path)] == ["near"]


def test_our_own_file_wins(tmp_path: Path):
    (tmp_path / "classes.json").write_text('["theirs"]')
    (tmp_path / "classes.yaml").write_text("classes: [{name: ours}]")
    assert [entry.name for entry in entries_of(tmp_path)] == ["ours"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.json", "{"),
        ("classes.json", "[1, 2]"),
        ("classes.json", '{"version": {"major": 1}}'),
        ("classes.json", '["\\u001b[31m"]'),
        ("classes.json", "[" * 100_000),
        ("classes.yaml", "classes: {name: a}"),
        ("labels.csv", "image,mask\nimages/a.png,masks/a.png\n"),
        ("labels.txt", "images/a.png labels/a.png\n"),
        ("labels.txt", "\xff\xfe\0"),
        ("classes.txt", ""),
        ("notes.txt", "sky\ncar\n"),
        ("config.json", '{"epochs": 3, "width": 512}'),
        ("config.json", '{"classes": 21}'),
        ("dataset.json", '{"images": ["a.png"], "labels": ["labels/a.png", "labels/b.png"]}'),
        ("dataset.json", '{"labels": {"background": 0, "whole": [1, 2, 3]}}'),
        ("labels.csv", "filename,label\na.png,cat\nb.png,dog\n"),
        ("labels.json", '[{"file_name": "a.png", "label": "cat"}]'),
        ("_classes.csv", "filename, cat, dog\na.png, 1, 0\n"),
        ("names.txt", "a.png\nb.png\n"),
        ("instances_val.json", '{"categories": [{"id": 1, "name": "sky"}]}'),
    ],
)
def test_what_is_no_class_file_is_passed_over(tmp_path: Path, name: str, text: str):
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    assert read_class_file(tmp_path) is None
