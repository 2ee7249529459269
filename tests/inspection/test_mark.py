"""What `check` wrote is told from what a person wrote, or changed."""

from pathlib import Path

import pytest

from segtrain.inspection.mark import BLANK, examples, is_own, line_of_masks, made_for_others, marked

TABLE = (
    f"# As long as nothing is changed ({BLANK})\n# For masks such as masks/a.png, masks/b.png\nclasses: [{{name: a}}]\n"
)


def test_a_file_is_checks_own_until_something_is_changed(tmp_path: Path):
    path = tmp_path / "classes.yaml"
    path.write_text(marked(TABLE))
    assert is_own(path)
    path.write_bytes(marked(TABLE).replace("\n", "\r\n").encode())
    assert is_own(path), "ends of lines are no change"
    path.write_text(marked(TABLE).replace("name: a", "name: car"))
    assert not is_own(path)
    path.write_text(TABLE)
    assert not is_own(path)


@pytest.mark.parametrize("content", ["image,mask,split\n", "", "check 0123456789abcdef\n", "\xff\xfe"])
def test_other_files_are_a_persons(tmp_path: Path, content: str):
    (tmp_path / "splits.csv").write_bytes(content.encode("latin-1"))
    assert not is_own(tmp_path / "splits.csv")
    assert not is_own(tmp_path / "missing.csv")
    assert not is_own(tmp_path)


def test_a_table_says_for_which_masks_it_was_made(tmp_path: Path):
    masks = [tmp_path / f"masks/{i}.png" for i in range(7)]
    line = line_of_masks(tmp_path, masks)
    assert line == "# For masks such as masks/0.png, masks/2.png, masks/4.png"
    table = tmp_path / "classes.yaml"
    table.write_text(f"{line}\nclasses: []\n")
    assert examples(table) == ["masks/0.png", "masks/2.png", "masks/4.png"]
    others = [tmp_path / f"labels/{i}.png" for i in range(7)]
    assert made_for_others(table, tmp_path, others) == [], "masks that are gone say nothing"
    (tmp_path / "masks").mkdir()
    masks[2].touch()
    assert made_for_others(table, tmp_path, others) == ["masks/2.png"]
    assert made_for_others(table, tmp_path, masks) == []
    assert made_for_others(tmp_path / "none.yaml", tmp_path, others) == []
