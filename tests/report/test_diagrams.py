import base64
import re

from segtrain.report.diagrams import CALIBRATION, COVERAGE, diagrams

BINS = [
    {"low": 0.0, "high": 0.5, "pixels": 0, "accuracy": None, "confidence": None},
    {"low": 0.5, "high": 1.0, "pixels": 8, "accuracy": 0.75, "confidence": 0.9},
]
POINTS = [{"left_out": share, "accuracy": 0.75 + share / 2, "confidence": 0.6} for share in (0, 0.1, 0.5)]


def test_two_pictures_are_drawn_and_none_of_nothing() -> None:
    found = diagrams({"ece": 0.15, "bins": BINS, "coverage": POINTS})
    assert list(found) == [CALIBRATION, COVERAGE]
    for uri in found.values():
        kind, _, content = uri.partition(";base64,")
        assert kind == "data:image/svg+xml"
        assert len(re.findall("<path", base64.b64decode(content).decode())) > 10
    assert diagrams({"ece": None, "bins": BINS[:1], "coverage": []}) == {}
