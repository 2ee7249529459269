import tracemalloc
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segtrain.data.classes import SETTINGS, ClassTable
from segtrain.errors import UserError

TWO = {"ignore": 255, "classes": [{"name": "ground", "color": [0, 0, 0]}, {"name": "car", "color": [64, 0, 128]}]}


def table(**changes: object) -> ClassTable:
    return ClassTable.from_spec(TWO | changes)


def test_a_value_means_the_class_at_its_position_and_ignore_is_void():
    mask = np.array([[0, 1, 255]], np.uint8)
    assert table().encode(mask).tolist() == [[0, 1, 255]]
    assert table().void == 255


def test_values_and_ranges_are_owned_by_the_class_that_lists_them():
    classes = [{"name": "no", "values": [0]}, {"name": "soft", "values": [7, "128-255"]}]
    mask = np.array([[0, 7, 128, 200, 255]], np.uint8)
    assert table(ignore=None, classes=classes).encode(mask).tolist() == [[0, 1, 1, 1, 1]]


def test_colours_mean_classes_in_rgb_masks():
    classes = [{"name": "a", "color": [1, 2, 3]}, {"name": "b", "color": [9, 9, 9], "colors": [[9, 9, 9], [8, 8, 8]]}]
    mask = np.array([[[1, 2, 3], [9, 9, 9], [8, 8, 8]]], np.uint8)
    assert table(classes=classes).encode(mask).tolist() == [[0, 1, 1]]


def test_an_ignored_value_that_is_also_a_position_becomes_another_void():
    classes = [{"name": "a", "values": [1]}, {"name": "b", "values": [2]}]
    chosen = table(ignore=0, classes=classes)
    assert chosen.encode(np.array([[0, 1, 2]], np.uint8)).tolist() == [[chosen.void, 0, 1]]
    assert chosen.void not in (0, 1)


def test_an_ignored_value_of_16_bits_becomes_a_void_of_8():
    chosen = table(ignore=65535)
    assert chosen.encode(np.array([[1, 65535]], np.uint16)).tolist() == [[1, chosen.void]]
    assert chosen.dtype == np.uint8


@pytest.mark.parametrize("mask", [np.array([[70000]]), np.array([[-1]]), np.array([[0.5]])])
def test_masks_beyond_16_bits_or_not_whole_are_refused(mask: np.ndarray):
    with pytest.raises(ValueError, match="expected whole numbers from 0 to 65535"):
        table().encode(mask)


def test_more_than_255_classes_need_int16():
    many = table(ignore=None, classes=[{"name": str(i)} for i in range(255)])
    assert many.encode(np.array([[299]], np.uint16)).dtype == np.int16
    assert table().encode(np.array([[1]], np.uint8)).dtype == np.uint8


def test_unlisted_values_are_named_with_their_pixels():
    with pytest.raises(ValueError, match=r"values 7 \(2 pixels\), 9 \(1 pixels\) belong to none of the 2 classes"):
        table().encode(np.array([[0, 7, 7, 9]], np.uint8))


def test_unlisted_colours_are_named_with_their_pixels():
    with pytest.raises(ValueError, match=r"colours \[1, 1, 1\] \(1 pixels\)"):
        table().encode(np.array([[[0, 0, 0], [1, 1, 1]]], np.uint8))


def test_other_ignore_turns_unlisted_values_into_void():
    assert table(other="ignore").encode(np.array([[0, 7]], np.uint8)).tolist() == [[0, 255]]


def test_other_nearest_gives_unlisted_values_and_colours_to_the_nearest_listed_one():
    classes = [{"name": "a", "color": [0, 0, 0], "values": [0]}, {"name": "b", "color": [200, 0, 0], "values": [100]}]
    chosen = table(other="nearest", classes=classes)
    for _ in range(2):
        assert chosen.encode(np.array([[0, 49, 50, 51, 100, 254]], np.uint8)).tolist() == [[0, 0, 0, 1, 1, 255]]
        assert chosen.encode(np.array([[300, 170]], np.uint16)).tolist() == [[255, 1]]
        colors = np.array([[[90, 9, 9], [120, 9, 9], [255, 30, 30]]], np.uint8)
        assert chosen.encode(colors).tolist() == [[0, 1, 1]]


def test_ignored_colours_are_void():
    for ignore in ([1, 1, 1], [[1, 1, 1], [2, 2, 2]]):
        chosen = table(ignore=ignore)
        colors = np.array([[[0, 0, 0], [64, 0, 128], [1, 1, 1]]], np.uint8)
        assert chosen.encode(colors).tolist() == [[0, 1, 255]]
        assert chosen.encode(np.array([[0, 1]], np.uint8)).tolist() == [[0, 1]]
    assert chosen.encode(np.array([[[2, 2, 2]]], np.uint8)).tolist() == [[255]]


def test_every_value_may_have_a_class_of_its_own():
    values = np.arange(256, dtype=np.uint8)[None]
    chosen = table(ignore=None, classes=[{"name": f"{i}"} for i in range(255)] + [{"name": "last", "values": [255]}])
    assert chosen.encode(values).tolist() == values.tolist()


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_mask_of_any_size_is_looked_up_value_by_value(data: st.DataObject):
    owners = data.draw(st.lists(st.sampled_from(["a", "b", "void", "error"]), min_size=256, max_size=256))
    classes = [{"name": name, "values": [v for v in range(256) if owners[v] == name]} for name in "ab"]
    ignored = next((value for value in range(256) if owners[value] == "void"), None)
    chosen = table(ignore=ignored, classes=classes)
    known = [value for value in range(256) if owners[value] in "ab" or value == ignored]
    shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    mask = np.array(data.draw(st.lists(st.sampled_from(known or [0]), min_size=81, max_size=81)), np.uint8)[
        : np.prod(shape)
    ]
    if known:
        expected = [chosen.void if value == ignored else "ab".index(owners[value]) for value in mask]
        assert chosen.encode(mask.reshape(shape)).ravel().tolist() == expected
    strange = next((value for value in range(256) if value not in known), None)
    if strange is not None:
        with pytest.raises(ValueError, match=rf"values {strange} \(1 pixels\) belong to none"):
            chosen.encode(np.array([*mask, strange], np.uint8)[None])


def test_colours_that_nobody_chose_are_far_apart():
    chosen = table(classes=[{"name": str(i)} for i in range(255)])
    assert chosen.colors[:3].tolist() == [[0, 0, 0], [0, 0, 255], [0, 255, 0]]
    assert chosen.colors[254].tolist() == [96, 224, 192]  # as in Pascal VOC's colour map
    for first, second in combinations(chosen.colors[:16].astype(int), 2):
        assert abs(first - second).sum() >= 95  # in Pascal VOC: 64


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "expected `classes:`"),
        ([], "expected `classes:`"),
        ({"classes": [{"color": [0, 0, 0]}]}, "class 0: .* is not a mapping with name"),
        ({"classes": [{"name": "a", "colour": [0, 0, 0]}]}, "class 0"),
        ({"classes": [{"name": "a"}, {"name": "a"}]}, "'a' stands twice"),
        ({"classes": [{"name": "a", "color": [0, 0, 300]}]}, "not three numbers from 0 to 255"),
        ({"classes": {"name": "a"}}, "expected `classes:` with a list"),
        ({"classes": "a"}, "expected `classes:` with a list"),
        ({"classes": [{"name": "a", "color": 7}]}, "color 7 is not three numbers"),
        ({"classes": [{"name": "a", "color": [0, 0, True]}]}, "is not three numbers"),
        ({"classes": [{"name": "a", "values": 7}]}, "values: 7 is not a list"),
        ({"classes": [{"name": "a", "values": "12"}]}, "values: '12' is not a list"),
        ({"classes": [{"name": "a", "colors": None}]}, "colors: None is not a list"),
        ({"classes": [{"name": "a", "values": ["x"]}]}, "expected numbers or ranges .* not 'x'"),
        ({"classes": [{"name": "a", "values": [70000]}]}, "in 0 to 65535, not 70000"),
        ({"classes": [{"name": "a", "values": [-1]}]}, "in 0 to 65535, not -1"),
        ({"classes": [{"name": "a", "values": ["9-3"]}]}, "not '9-3'"),
        ({"classes": [{"name": "a", "values": ["0-99999999999"]}]}, "not '0-99999999999'"),
        ({"classes": [{"name": "a", "values": [True]}]}, "not True"),
        ({"classes": [{"name": 7}]}, "the name 7 is not a text: write it in quotes"),
        ({"classes": [{"name": False}]}, "the name False is not a text"),  # what YAML makes of `no`
        ({"classes": [{"name": " "}]}, "is not 1 to 100 printable characters"),
        ({"classes": [{"name": "x" * 101}]}, "is not 1 to 100 printable characters"),
        ({"classes": [{"name": "a\nb"}]}, r"'a\\nb' is not 1 to 100 printable"),
        ({"classes": [{"name": "\x1b[31mred"}]}, r"'\\x1b\[31mred' is not 1 to 100 printable"),
        ({"classes": [{"name": "txt.\u202egpj"}]}, "is not 1 to 100 printable"),
        ({"classes": [{"name": "\ud800"}]}, "is not 1 to 100 printable"),
        ({"classes": [{"name": "a", "values": [1]}, {"name": "b", "values": [1]}]}, "1 belongs to both 'a' and 'b'"),
        ({"ignore": 0, "classes": [{"name": "a"}]}, "0 belongs to both 'ignore' and 'a'"),
        ({"ignore": -1, "classes": [{"name": "a"}]}, "ignore: -1 is neither null nor a mask value"),
        ({"ignore": [0, 255], "classes": [{"name": "a"}]}, "is neither null nor a mask value"),
        ({"classes": [{"name": "a"}], "other": "skip"}, "neither error, ignore nor nearest"),
        ({"classes": [{"name": "a"}], "masks": "rgb"}, "masks: 'rgb' is neither values nor colors"),
        ({"ignore": [0, 0, 300], "classes": [{"name": "a"}]}, "is neither null nor a mask value"),
        ({"ignore": [], "classes": [{"name": "a"}]}, "is neither null nor a mask value"),
        ({"ignore": [0, 0, 0], "classes": [{"name": "a", "color": [0, 0, 0]}]}, "belongs to both 'ignore' and 'a'"),
        ({"classes": [{"name": "a"}], "palette": 1}, "unknown entry 'palette'"),
        ({"classes": [{"name": "a"}], 1: 1, "x": 1}, "unknown entry 1"),
    ],
)
def test_malformed_tables_are_refused_in_one_line(spec: object, message: str):
    with pytest.raises(ValueError, match=message) as refusal:
        ClassTable.from_spec(spec, "here.yaml")
    assert str(refusal.value).startswith("here.yaml: ")
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_no_yaml_is_named(tmp_path):
    path = tmp_path / "classes.yaml"
    path.write_text("classes: [")
    with pytest.raises(ValueError, match=r"classes.yaml: not YAML") as refusal:
        ClassTable.from_file(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["Straße", "人", "שלום", "café ☕", "نیم‌فاصله", "a/b"])
def test_names_in_any_script_are_taken(name: str):
    assert ClassTable.from_spec({"classes": [{"name": name}]}).names == (name,)


def test_up_to_4096_classes_are_taken():
    names = [{"name": str(i)} for i in range(4097)]
    assert len(ClassTable.from_spec({"classes": names[:4096]})) == 4096
    with pytest.raises(ValueError, match="4097 classes are too many"):
        ClassTable.from_spec({"classes": names})


def rows(first: str, row: str) -> str:
    """YAML of a dozen anchors, each of which names the one before nine times."""
    letters = "abcdefghijkl"
    return f"a: &a {first}\n" + "".join(
        f"{this}: &{this} " + row.format(",".join([f"*{last}"] * 9)) + "\n" for last, this in pairwise(letters)
    )


BOMBS = {
    "aliases": (rows("[x,x,x,x,x,x,x,x,x]", "[{}]"), "nested too deeply"),
    "wide": ("a: &a [" + "x," * 1000 + "x]\nb: &b [" + "*a," * 999 + "*a]", "more than 500000 entries"),
    "merged keys": (rows("{x: 1}", "{{<<: [{}]}}"), "nested too deeply"),
    "a list in itself": ("classes: &a [*a]", "nested too deeply"),
    "brackets": ("[" * 900_000, "nested too deeply"),
    "base 60": ("a: 1" + ":1" * 100_000, "a text of 200001 characters"),
    "digits": ("a: " + "9" * 100_000, "a text of 100000 characters"),
    "a large file": ("#" * 1_000_001, "more than 1000000 bytes"),
    "a tag that runs code": ("!!python/object/apply:os.system ['touch ran']", "could not determine a constructor"),
    "a tag without its value": ("classes: !!timestamp x", "not YAML of a class table"),
    "no text": ("\0\1", "not YAML of a class table"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("text", "message"), BOMBS.values(), ids=BOMBS)
def test_a_strangers_file_is_refused_before_it_grows(tmp_path, text: str, message: str):
    (tmp_path / "classes.yaml").write_text(text)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=rf"classes\.yaml: .*{message}") as refusal:
            ClassTable.from_file(tmp_path / "classes.yaml")
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 1000
    assert not (tmp_path / "ran").exists()


def test_ranges_named_many_times_are_not_written_out():
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="0 belongs to both 'a' and 'a'"):
            ClassTable.from_spec({"classes": [{"name": "a", "values": ["0-65535"] * 100_000}]})
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_what_is_shown_of_a_wrong_entry_is_short():
    with pytest.raises(ValueError, match="class 0") as refusal:
        ClassTable.from_spec({"classes": [{"label": ["x" * 900] * 1000}]})
    assert len(str(refusal.value)) < 500


@pytest.mark.parametrize(
    "name", ["car\u200b", "\ufeffcar", "ca\u00adr", "\u2800", "ca\u200dr", "car\u200e", "\u3164", "a\U000e0041"]
)
def test_names_with_invisible_characters_are_refused(name: str):
    with pytest.raises(ValueError, match=r"class 1: the name .* invisible characters"):
        ClassTable.from_spec({"classes": [{"name": "car"}, {"name": name}]})


@pytest.mark.parametrize("name", ["می\u200cروم", "क्\u200dष", "Straße", "空", "e\u0301t\u00e9", "\U0001f697\ufe0f"])
def test_names_of_all_scripts_are_names(name: str):
    assert ClassTable.from_spec({"classes": [{"name": name}]}).names == (name,)


def test_two_unicode_forms_of_a_name_are_one_name():
    with pytest.raises(ValueError, match="stands twice"):
        ClassTable.from_spec({"classes": [{"name": "caf\u00e9"}, {"name": "cafe\u0301"}]})


def test_a_class_without_values_among_others_means_its_position():
    table = ClassTable.from_spec({"classes": [{"name": "a", "values": [100]}, {"name": "b"}]})
    assert table.values == {100: 0, 1: 1}
    assert table.by_position == {"b": 1}
    assert ClassTable.from_spec({"classes": [{"name": "a"}, {"name": "b"}]}).by_position == {}
    with pytest.raises(
        ValueError, match="1 belongs to both 'a' and 'b', which lists no values, and so means its position"
    ):
        ClassTable.from_spec({"classes": [{"name": "a", "values": [1]}, {"name": "b"}]})


def test_what_is_not_listed_is_to_be_listed_where_the_classes_came_from():
    spec = {"classes": [{"name": "sky"}, {"name": "road"}]}
    mask = np.array([[0, 9]], np.uint8)
    with pytest.raises(UserError, match=r"list them in classes\.yaml \(values: \[9\]\), or set"):
        ClassTable.from_spec(spec, "photos/classes.yaml").encode(mask)
    with pytest.raises(UserError, match=r"list them in data\.classes \(values.*if data=NAME was typed and these are"):
        ClassTable.from_spec(spec, SETTINGS).encode(mask)
