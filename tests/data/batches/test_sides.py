import pytest
import torch

from segtrain.data.batches.sides import Pairs, exchanged, flip_pairs, sides
from segtrain.errors import UserError

FACE = ["background", "left_eye", "right_eye", "nose", "r_ear", "l_ear"]
CELEBA = "skin nose eye_g l_eye r_eye l_brow r_brow l_ear r_ear mouth u_lip l_lip hair hat ear_r neck_l neck cloth"
LIP = ["Left-arm", "Right-arm", "Left-leg", "Right-leg", "Left-shoe", "Right-shoe", "Face"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (FACE, [(1, 2), (4, 5)]),
        (LIP, [(0, 1), (2, 3), (4, 5)]),
        (CELEBA.split(), [(3, 4), (5, 6), (7, 8)]),
        (["eye_l", "eye_r"], [(0, 1)]),
        (["hand.L", "hand.R"], [(0, 1)]),
        (["rightEye", "leftEye"], [(0, 1)]),
        (["LEye", "REye", "eyeR", "eyeL"], [(0, 1), (2, 3)]),
        (["Left Arm", "right_arm"], [(0, 1)]),
        (["lefteye", "righteye", "kidneyleft", "kidneyright"], [(0, 1), (2, 3)]),
        (["LEFT", "RIGHT", "centre"], [(0, 1)]),
        (["ctx-lh-insula", "ctx-rh-insula"], [(0, 1)]),
        (["left_to_right", "right_to_left"], [(0, 1)]),
        (["rib_left_1", "rib_right_1", "rib_left_2", "rib_right_2"], [(0, 1), (2, 3)]),
        (["bright_left_lamp", "bright_right_lamp"], [(0, 1)]),
        (["L", "R", "background"], [(0, 1)]),
        (["lane_l", "lane_c", "lane_r"], [(0, 2)]),
    ],
)
def test_classes_that_differ_in_left_and_right_alone_are_pairs(names: list[str], expected: list[tuple[int, int]]):
    assert sides(names) == expected


@pytest.mark.parametrize(
    "names",
    [
        ["left_turn", "straight"],
        ["leftover", "rightful", "light", "bright", "load", "road"],
        ["red", "lead", "ring", "ling"],
        [*"ABCDEFGHIJKLMNOPQRSTUVWXYZ"],
        ["zone_a", "zone_l", "zone_r"],
        ["R1", "L1", "C1"],
        ["Left_Eye", "left_eye", "right_eye"],
        ["u_lip", "l_lip"],
        ["left", "left_eye", "right_ear"],
    ],
)
def test_what_has_no_other_side_is_no_pair(names: list[str]):
    assert sides(names) == []


@pytest.mark.parametrize("wanted", [[["nose", "r_ear"]], [[3, 4]], [("nose", 4)]])
def test_pairs_can_be_typed_by_name_and_by_number(wanted: Pairs):
    assert flip_pairs(wanted, FACE) == [(3, 4)]
    assert flip_pairs([], FACE) == []


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([["left_eye"]], r"\['left_eye'\] is no pair of classes: expected two in each"),
        (["left_eye", "right_eye"], r"left_eye is no pair of classes"),
        (
            [["left_eye", "right_eyes"]],
            r"there is no class right_eyes: expected names or numbers of background, ",
        ),
        ([[1, 6]], r"there is no class 6"),
        ([[1, -1]], r"there is no class -1"),
        ([[1, 1]], r"left_eye is named twice: a class has one other side"),
        ([[1, 2], [2, 3]], r"right_eye is named twice"),
        ([[0, 1]] * 4, r"4 pairs of 6 classes"),
        ([[{}, None]], r"there is no class {}"),
    ],
)
def test_pairs_that_are_none_are_refused(wanted: Pairs, message: str):
    with pytest.raises(UserError, match=f"augment.flip_pairs: {message}"):
        flip_pairs(wanted, FACE)


@pytest.mark.parametrize("wanted", ["left_eye", 3, {"left_eye": "right_eye"}])
def test_what_is_no_list_of_pairs_is_refused(wanted: object):
    with pytest.raises(UserError, match=r"augment.flip_pairs=.*: expected null, or pairs such as"):
        flip_pairs(wanted, FACE)


@pytest.mark.parametrize("kind", [torch.uint8, torch.int16])
def test_labels_change_places_and_all_else_stays(kind: torch.dtype):
    mask = torch.tensor([[0, 1, 2], [3, 255, 1]], dtype=kind)
    result = exchanged(mask, [(1, 2), (3, 4)])
    assert result.tolist() == [[0, 2, 1], [4, 255, 2]]
    assert result.dtype == kind
    assert mask.tolist() == [[0, 1, 2], [3, 255, 1]]
