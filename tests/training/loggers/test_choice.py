from collections.abc import Callable
from pathlib import Path

import pytest

from segtrain.errors import UserError
from segtrain.training import loggers
from segtrain.training.loggers import choice
from segtrain.training.loggers.choice import LoggedRun
from segtrain.training.loggers.event_files import TensorBoard
from segtrain.training.loggers.picture_files import PictureFiles


def test_csv_is_pictures_besides_the_table_and_tensorboard_its_files(tmp_path: Path):
    logged = LoggedRun(tmp_path, "a", "photos-fcn")
    assert isinstance(loggers.csv()(logged), PictureFiles)
    assert isinstance(loggers.tensorboard()(logged), TensorBoard)
    assert list(tmp_path.iterdir()) == []  # a file comes with the first point, or picture


def test_how_curves_are_watched_is_said_with_an_address_that_smooths_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    loggers.tensorboard()(LoggedRun(tmp_path / "my run", "a", "photos-fcn"))
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("watch it: ")
    assert first.endswith(f"tensorboard --logdir '{tmp_path}/my run'")
    assert second == "  and then at http://localhost:6006/?smoothing=0#timeseries"


@pytest.mark.parametrize(
    ("extra", "make"),
    [
        ("wandb", lambda: loggers.wandb(project="p", offline=True)),
        ("mlflow", lambda: loggers.mlflow(experiment="e")),
    ],
)
def test_a_missing_extra_is_named(extra: str, make: Callable[[], object], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(choice, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=rf"logger={extra} needs more packages: pip install 'segtrain\[{extra}\]'"):
        make()


def test_a_logger_is_typed_by_its_name_unless_it_is_the_usual_one_or_a_strangers():
    assert choice.typed_word({"_target_": "segtrain.training.loggers.mlflow", "experiment": "e"}) == "logger=mlflow"
    assert choice.typed_word({"_target_": "segtrain.training.loggers.tensorboard"}) == ""
    assert choice.typed_word({"_target_": "os.system"}) == ""
