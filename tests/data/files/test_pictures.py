from dataclasses import asdict, replace

import numpy as np
import pytest

from segtrain.data.files.pictures import Pictures, Span, filled

EIGHT = Pictures("unsigned", 8, 3, (0.0,) * 3, (1.0,) * 3, (0.7, 1.0))
TWELVE = Pictures("unsigned", 16, 1, (0.01,), (0.06,), (0.6, 1.2))


def of(*spans: tuple[list[float], list[float]], kind: str = "unsigned", bits: int = 16) -> Pictures:
    pictures = Pictures.of(kind, bits, 3, [Span(tuple(low), tuple(high)) for low, high in spans])
    assert pictures is not None
    return pictures


def test_half_a_per_cent_at_either_end_does_not_count():
    pixels = np.full((1, 1000), 50.0)
    pixels[0, :4], pixels[0, -4:], pixels[0, 4:500] = -1e6, 1e6, 10
    assert filled(pixels) == Span((10.0,), (50.0,))


def test_one_odd_image_among_many_does_not_widen_the_range():
    many = [([0.1], [0.2])] * 40
    assert of(*many, ([0.0], [1.0])).span() == Span((0.1,), (0.2,))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ([0.0, 0.05, 0.0], [1.0, 0.9, 0.95], None),  # photographs
        ([0.02], [0.06], ([0.02], [0.06])),
        ([0.02, 0.01, 0.03], [0.06, 0.05, 0.045], ([0.01] * 3, [0.06] * 3)),  # grey stays grey
        ([0.02, 0.01, 0.1], [0.021, 0.011, 0.6], ([0.02, 0.01, 0.0], [0.021, 0.011, 1.0])),  # three measures
        ([0.0, 0.0, 0.0], [0.0, 0.2, 0.0], ([0.0] * 3, [0.2] * 3)),  # a fluorescent green
        ([0.0, 0.0, 0.0], [0.0, 0.9, 0.0], None),
        ([0.3], [0.3], None),
    ],
)
def test_the_range_of_the_jitter(low: list[float], high: list[float], expected: tuple[list[float], list[float]] | None):
    assert of((low, high)).span() == (expected and Span(*map(tuple, expected)))


def test_fractions_in_0_to_1_are_jittered_as_photographs_and_others_are_not():
    assert of(([0.0], [0.9]), kind="float", bits=32).span() is None
    assert of(([0.0], [255.0]), kind="float", bits=32).span() == Span((0.0,), (255.0,))


@pytest.mark.parametrize(
    ("known", "kind", "bits", "low", "high", "differs"),
    [
        (EIGHT, "unsigned", 8, 0.0, 0.2, False),  # a dark photograph
        (EIGHT, "unsigned", 8, 0.0, 0.01, True),  # class indices
        (EIGHT, "unsigned", 16, 0.0, 0.06, True),
        (EIGHT, "unsigned", 16, 0.0, 0.25, True),
        (EIGHT, "unsigned", 16, 0.0, 0.9, False),  # all 16 bits
        (EIGHT, "float", 32, 0.0, 1.0, False),
        (EIGHT, "float", 32, 0.0, 255.0, True),
        (TWELVE, "unsigned", 16, 0.01, 0.05, False),
        (TWELVE, "unsigned", 16, 0.01, 1.0, True),
        (TWELVE, "unsigned", 8, 0.0, 1.0, True),
        (TWELVE, "unsigned", 16, 0.0, 0.005, True),  # below the lowest value
    ],
)
def test_pictures_of_another_depth_or_range_differ(
    known: Pictures, kind: str, bits: int, low: float, high: float, differs: bool
):
    channels = len(known.low)
    assert bool(known.differ(kind, bits, Span((low,) * channels, (high,) * channels))) == differs


def test_what_is_said_has_the_numbers_of_the_files():
    said = EIGHT.differ("unsigned", 16, Span((0.0,) * 3, (4095 / 65535,) * 3))
    assert said.startswith("16 bits that fill 0 to 4095 of 65535, where the training's pictures have 8 bits")
    assert said.endswith("and fill 0 to 255 of 255")


def test_other_channels_are_said_but_for_grey_among_colours():
    assert EIGHT.differ_in_channels(4) == "4 channels, where the training's pictures have 3: the first 3 are used"
    assert EIGHT.differ_in_channels(1) == EIGHT.differ_in_channels(3) == ""
    assert TWELVE.differ_in_channels(3) == "3 channels, where the training's pictures have 1: they become grey"
    assert replace(EIGHT, channels=4).differ_in_channels(4) == ""  # the training took the first three as well


def test_a_record_gives_them_back_and_a_damaged_one_gives_nothing():
    content = asdict(TWELVE)
    assert Pictures.stored(content) == TWELVE
    for change in ({"low": []}, {"low": [2.0]}, {"high": ["x"]}, {"kind": "odd"}, {"bits": 7}, {"peaks": [1]}):
        assert Pictures.stored(content | change) is None
    assert Pictures.stored(content | {"high": [float("nan")]}) is None
    assert Pictures.stored(None) is None
    assert Pictures.stored([1, 2]) is None
