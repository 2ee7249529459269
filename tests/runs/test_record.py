import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from segtrain.runs.correction import LOSS, Correction
from segtrain.runs.record import MOVED, Record, with_places, without_pretrained
from segtrain.runs.temperature import Temperature
from tests.runs.conftest import CLASSES, MODEL, SETTINGS

RECORD = Record(
    run="some",
    settings=SETTINGS,
    model=MODEL,
    loss={"_target_": "segtrain.losses.CrossEntropy"},
    augment={"_target_": "segtrain.data.Augment", "flip_pairs": [["left", "right"]]},
    precision="32-true",
    classes=CLASSES,
    channels=1,
    fingerprint="f",
)


def changed(**parts: Any) -> str:
    return json.dumps({**json.loads(RECORD.to_json()), **parts})


def test_a_record_comes_back_as_it_was() -> None:
    assert Record.from_json(RECORD.to_json()) == RECORD


@pytest.mark.parametrize("name", ["run", "settings", "model", "loss", "precision", "fingerprint"])
@pytest.mark.parametrize("value", [None, 7, [1]])
def test_a_part_that_is_missing_or_of_another_type_is_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"cannot be read \\({name} is missing, or no"):
        Record.from_json(changed(**{name: value}))


@pytest.mark.parametrize("text", [None, 7, "", "{", "[]", "null", "[" * 100_000])
def test_what_is_no_record_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="the checkpoint's record of its run cannot be read"):
        Record.from_json(text)


def test_settings_without_a_part_or_a_call_are_refused() -> None:
    few = {name: value for name, value in SETTINGS.items() if name != "loss"}
    with pytest.raises(ValueError, match="settings are not those of a training: loss are missing"):
        Record.from_json(changed(settings=few))
    with pytest.raises(ValueError, match="settings name no data"):
        Record.from_json(changed(settings={**SETTINGS, "data": {"root": "x"}}))


def test_a_teacher_is_a_path_and_a_fingerprint_or_none_as_in_older_records() -> None:
    parts = json.loads(RECORD.to_json())
    del parts["teacher"]
    assert Record.from_json(json.dumps(parts)).teacher is None
    with pytest.raises(ValueError, match="teacher is no fingerprint"):
        Record.from_json(changed(teacher=7))
    with pytest.raises(ValueError, match="settings have a teacher that is no path"):
        Record.from_json(changed(settings={**SETTINGS, "teacher": ["x"]}))


def test_older_records_have_their_augmentation_in_the_settings_alone() -> None:
    parts = json.loads(RECORD.to_json())
    del parts["augment"]
    assert Record.from_json(json.dumps(parts)).augment == SETTINGS["augment"]
    with pytest.raises(ValueError, match="augment has no _target_"):
        Record.from_json(changed(augment=[1]))


@pytest.mark.parametrize("part", ["settings", "model", "loss", "augment"])
def test_a_nest_is_refused(part: str) -> None:
    nest: Any = 1
    for _ in range(100):
        nest = [nest]
    with pytest.raises(ValueError, match="nested deeper than 64 levels"):
        Record.from_json(changed(**{part: {**SETTINGS, "_target_": "x.y", "deep": nest}}))


@pytest.mark.parametrize("value", [0, -1, True, "3", 1.0])
def test_channels_are_a_number(value: object) -> None:
    with pytest.raises(ValueError, match="channels is no number of channels"):
        Record.from_json(changed(channels=value))


@pytest.mark.parametrize(("noted", "channels"), [(4, 4), (None, 3), ("x", 3)])
def test_older_records_have_their_channels_in_the_encoder(noted: object, channels: int) -> None:
    parts = json.loads(changed(model={**MODEL, "encoder": {**MODEL["encoder"], "in_channels": noted}}))
    del parts["channels"]
    assert Record.from_json(json.dumps(parts)).channels == channels


def test_a_record_may_have_a_temperature_and_older_ones_have_none() -> None:
    softened = replace(RECORD, temperature=Temperature(1.5, 0.5, 0.25))
    assert Record.from_json(softened.to_json()) == softened
    parts = json.loads(softened.to_json())
    del parts["temperature"]
    assert Record.from_json(json.dumps(parts)).temperature is None
    with pytest.raises(ValueError, match="the checkpoint's temperature cannot be read"):
        Record.from_json(changed(temperature=1.5))


def test_a_record_may_have_a_correction_and_older_ones_have_none() -> None:
    corrected = replace(RECORD, correction=Correction(0.5, LOSS, (1.0, -1.0), 0.5, 0.75))
    assert Record.from_json(corrected.to_json()) == corrected
    parts = json.loads(RECORD.to_json())
    del parts["correction"]
    assert Record.from_json(json.dumps(parts)).correction is None
    with pytest.raises(ValueError, match="the checkpoint's prior correction cannot be read"):
        Record.from_json(changed(correction=[1.0, -1.0]))


def test_older_records_do_not_say_where_they_began() -> None:
    parts = json.loads(RECORD.to_json())
    del parts["cwd"]
    assert Record.from_json(json.dumps(parts)).cwd == ""


@pytest.mark.parametrize(
    ("root", "cwd", "found"),
    [
        ("photos", "{here}/before", "{here}/before/photos"),
        ("photos", "{here}", "photos"),  # we are there
        ("photos", "{here}/gone", "{here}/gone/photos"),
        ("photos", "", "photos"),
        ("{here}/before/photos", "{here}/gone", "{here}/before/photos"),
        ("../photos", "{here}/before", "{here}/before/../photos"),
        ("x" * 5000, "{here}", "x" * 5000),
        ("photos\0", "{here}/before", "photos\0"),
        (7, "{here}/before", 7),
    ],
)
def test_a_relative_root_leads_to_where_it_led(
    root: Any, cwd: Any, found: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("photos", "before/photos"):
        Path(folder).mkdir(parents=True)
    root, cwd, found = (v.format(here=tmp_path) if isinstance(v, str) else v for v in (root, cwd, found))
    assert with_places({"data": {"root": root}}, [cwd] if cwd else []) == {"data": {"root": found}}
    assert with_places({"data": {}}, [cwd]) == {"data": {}}
    taught = {"data": {}, "teacher": root}
    assert with_places(taught, [cwd] if cwd else []) == {"data": {}, "teacher": found}


@pytest.mark.parametrize(("old", "new"), MOVED.items())
def test_names_that_moved_are_read_as_what_they_are_now(old: str, new: str) -> None:
    inner = [{"_target_": old, "_partial_": True}]
    settings = Record.from_json(changed(settings={**SETTINGS, "schedule": {"_target_": old, "parts": inner}})).settings
    assert settings["schedule"] == {"_target_": new, "parts": [{"_target_": new, "_partial_": True}]}


def test_only_networks_that_take_pretrained_weights_lose_them() -> None:
    resnet = {"_target_": "segtrain.models.resnet", "layers": 50, "weights": "IMAGENET1K_V2"}
    mine = {"_target_": "my.Network", "encoders": [resnet], "fusion": {"weights": [1, 2]}, "weights": "mine"}
    assert without_pretrained(mine) == {**mine, "encoders": [{**resnet, "weights": None}]}


@pytest.mark.parametrize("name", ["SmpEncoder", "TimmEncoder", "TorchvisionBackbone", "TorchvisionEncoder"])
def test_encoders_of_others_lose_them_too(name: str) -> None:
    encoder = {"_target_": f"segtrain.networks.{name}", "name": "a", "weights": "FILE.pth"}
    assert without_pretrained({"encoder": encoder}) == {"encoder": {**encoder, "weights": None}}


@pytest.mark.parametrize(
    ("stored", "typed", "expected"),
    [
        (None, None, 500),
        (300, None, 300),
        (10**12, None, 500),
        (10**12, 10**10, 10**10),
        ("x", None, 500),
        (0, None, 500),
    ],
)
def test_a_stored_limit_on_pixels_lowers_the_usual_one_and_never_raises_it(
    stored: Any, typed: int | None, expected: int
) -> None:
    data = {**SETTINGS["data"]} if stored is None else {**SETTINGS["data"], "max_pixels": stored}
    record = Record.from_json(changed(settings={**SETTINGS, "data": data}))
    assert record.max_pixels(typed, 500) == expected
