import pytest

from segtrain.runs import resume

STORED = {"name": "x", "seed": 0, "train": {"epochs": 5, "save_minutes": 5}, "data": {"root": "a", "workers": 0}}


def composed(**train: object) -> dict:
    return {**STORED, "train": {**STORED["train"], **train}}


def test_what_was_not_typed_is_as_stored():
    typed = composed(epochs=99)
    assert resume.settled(STORED, typed, ["resume=latest"], allow_changes=False) == STORED


def test_a_typed_setting_that_changes_the_result_is_refused_and_named():
    with pytest.raises(ValueError, match=r"train.epochs=99 would change the result .* began with train.epochs=5"):
        resume.settled(STORED, composed(epochs=99), ["train.epochs=99"], allow_changes=False)


def test_the_same_setting_typed_again_is_fine():
    assert resume.settled(STORED, STORED, ["train.epochs=5", "data=x"], allow_changes=False) == STORED


def test_allowed_changes_are_taken_over():
    settings = resume.settled(STORED, composed(epochs=99), ["train.epochs=99"], allow_changes=True)
    assert settings["train"]["epochs"] == 99


def test_settings_that_never_change_the_result_are_free():
    changed = {**composed(save_minutes=1), "data": {"root": "b", "workers": 2}}
    settings = resume.settled(
        STORED, changed, ["train.save_minutes=1", "data.root=b", "data.workers=2"], allow_changes=False
    )
    assert settings == changed


def test_an_experiment_is_held_against_everything():
    with pytest.raises(ValueError, match=r"train.epochs=99"):
        resume.settled(STORED, composed(epochs=99), ["experiment=long"], allow_changes=False)
