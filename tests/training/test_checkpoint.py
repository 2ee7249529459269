import csv
import errno
import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from segtrain import disk
from segtrain.errors import UserError
from segtrain.runs.restore import read_checkpoint
from segtrain.training import checkpoint, fit
from tests.commands.conftest import TINY

Run = Callable[..., int]


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def saved(folder: Path, content: str, *, best: bool = False) -> dict[str, str]:
    (folder / "new.tmp").write_text(content)
    checkpoint.name_files(folder, folder / "new.tmp", best=best)
    return files(folder)


def test_names_move_on_from_last_to_previous(tmp_path: Path):
    assert saved(tmp_path, "0") == {"last.ckpt": "0"}
    assert saved(tmp_path, "1", best=True) == {"best.ckpt": "1", "last.ckpt": "1", "previous.ckpt": "0"}
    assert saved(tmp_path, "2") == {"best.ckpt": "1", "last.ckpt": "2", "previous.ckpt": "1"}
    assert saved(tmp_path, "3") == {"best.ckpt": "1", "last.ckpt": "3", "previous.ckpt": "2"}


@pytest.mark.parametrize("best", [False, True])
def test_wherever_naming_stops_a_whole_state_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best: bool):
    """A kill before each of the calls that change the folder; the best one may not be lost either."""
    for stop in range(6):
        folder = tmp_path / str(stop)
        folder.mkdir()
        saved(folder, "old", best=True)
        calls = iter(range(100))

        def counting(original: Callable[..., object], calls=calls, stop=stop) -> Callable[..., object]:
            def call(*args: object) -> object:
                if next(calls) == stop:
                    raise KeyboardInterrupt
                return original(*args)

            return call

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", counting(Path.replace))
            patch.setattr(Path, "hardlink_to", counting(Path.hardlink_to))
            try:
                saved(folder, "new", best=best)
            except KeyboardInterrupt:
                pass
            else:
                break
        left = files(folder)
        assert left.get("last.ckpt", left.get("previous.ckpt")) in ("old", "new")
        assert left["best.ckpt"] in (("old", "new") if best else ("old",))
        assert sum(name.endswith(disk.TEMPORARY) for name in left) <= 1
    else:
        raise AssertionError("it never came to its end")


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], bool]], None]:
    """Lets the saves for which `when(number)` holds meet a full disk."""

    def install(when: Callable[[int], bool]) -> None:
        original, numbers = disk.write_through, iter(range(1000))

        def write(path: Path, content: memoryview) -> None:
            if path.name == "new.tmp" and when(next(numbers)):
                path.write_bytes(bytes(content)[:100])
                path.unlink()
                raise OSError(errno.ENOSPC, "No space left on device", str(path))
            original(path, content)

        monkeypatch.setattr(checkpoint.disk, "write_through", write)

    return install


def test_a_full_disk_before_the_first_step_is_one_line(
    segtrain: Run, full: Callable[..., None], capsys: pytest.CaptureFixture[str]
):
    full(lambda number: True)
    assert segtrain("train", *TINY, "run_dir=run") == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
def test_a_full_disk_for_a_while_costs_no_step_and_no_file(
    segtrain: Run, full: Callable[..., None], capsys: pytest.CaptureFixture[str], weights: Callable[..., dict]
):
    segtrain("train", *TINY, "run_dir=whole")
    full(lambda number: number == 1)  # number 0 is the fresh state, 1 the first validation
    assert segtrain("train", *TINY, "run_dir=run") == 0
    out = capsys.readouterr().out
    assert "step 3: no checkpoint could be written (run/checkpoints: No space left on device)" in out
    assert "step 6: the checkpoint could be written again" in out
    whole, part = weights("whole"), weights("run")
    assert all(torch.equal(whole[name], part[name]) for name in whole)
    assert not list(Path("run").rglob("*.tmp"))


@pytest.mark.slow
def test_a_disk_that_stays_full_ends_with_status_3_and_the_earlier_files(
    segtrain: Run, full: Callable[..., None], capsys: pytest.CaptureFixture[str]
):
    full(lambda number: number >= 2)
    assert segtrain("train", *TINY, "run_dir=run") == 3
    assert "run holds an earlier state" in capsys.readouterr().out
    content = read_checkpoint(Path("run/checkpoints/last.ckpt"))
    assert content["global_step"] == 3
    assert (
        content["callbacks"]["Checkpoint"]["best_step"]
        == read_checkpoint(Path("run/checkpoints/best.ckpt"))["global_step"]
        == 3
    )
    assert not list(Path("run").rglob("*.tmp"))
    with open("run/metrics.csv", newline="") as file:
        assert [row["step"] for row in csv.DictReader(file) if row["IoU/val"]] == ["3", "6", "8"]
    assert segtrain("train", "resume=run") == 3  # still full; nothing is lost by trying


IMPATIENT = [*TINY, "train.ema=0.9", "train.patience=1", "optimizer.lr=0.2", "seed=4", "loss=cross_entropy"]
# validations after steps 3, 6 and 8


@pytest.mark.slow
def test_a_training_that_does_not_improve_any_more_ends_says_why_and_is_finished(
    segtrain: Run, capsys: pytest.CaptureFixture[str]
):
    assert segtrain("train", *IMPATIENT, "run_dir=run") == 0
    why = "train.patience=1: IoU/val has not improved in 1 validation (the best is "
    out = capsys.readouterr().out
    assert why in out
    assert ", of step 3): the training ends after 6 of 8 steps" in out
    content = read_checkpoint(Path("run/checkpoints/last.ckpt"))
    assert (content["global_step"], content["segtrain"]["finished"]) == (6, True)
    assert segtrain("train", "resume=run") == 0
    assert "run is finished: nothing is changed" in capsys.readouterr().out
    assert segtrain("train", "resume=run", "train.patience=2", "allow_changes=true") == 0
    assert read_checkpoint(Path("run/checkpoints/last.ckpt"))["global_step"] == 8


@pytest.mark.slow
def test_what_ended_before_its_final_score_takes_no_further_step(
    segtrain: Run, monkeypatch: pytest.MonkeyPatch, weights: Callable[..., dict]
):
    with monkeypatch.context() as patch:
        patch.setattr(fit, "final_score", lambda *_: 1 / 0)
        assert segtrain("train", *IMPATIENT, "run_dir=run") == 1
    before = weights("run")
    assert segtrain("train", "resume=run") == 0
    after = weights("run")
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert Path("run/evaluate/test/metrics.json").exists()


def test_no_checkpoint_is_written_after_a_loss_that_is_not_finite(segtrain: Run, capsys: pytest.CaptureFixture[str]):
    words = ["optimizer=sgd", "optimizer.lr=1e30", "trainer.gradient_clip_val=null", "train.save_minutes=0"]
    assert segtrain("train", *TINY, *words, "run_dir=run") == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "was not finite (NaN or infinite) in step" in err
    assert "images 0-0-0" in err
    assert "optimizer.lr=1e+30, 32-true" in err
    for path in Path("run/checkpoints").iterdir():
        content = read_checkpoint(path)
        assert all(tensor.isfinite().all() for tensor in content["state_dict"].values() if tensor.is_floating_point())


@pytest.mark.slow
def test_what_was_done_is_saved_when_reading_fails(segtrain: Run, monkeypatch: pytest.MonkeyPatch):
    from segtrain.data.shapes import ShapesSource

    original, reads = ShapesSource.read, iter(range(1000))

    def failing(self: ShapesSource, index: int, *mask: object) -> object:
        # 12 for mean and deviation, 12 for the classes, one to try the network out, 5 batches of 4 (one ahead of the
        # steps), a validation of 3, and then in the midst of the sixth batch, before the fifth step
        if next(reads) == 12 + 12 + 1 + 5 * 4 + 3 + 2:
            raise UserError("photo.jpg: damaged image")
        return original(self, index, *mask)

    monkeypatch.setattr(ShapesSource, "read", failing)
    assert segtrain("train", *TINY, "data.workers=0", "run_dir=run") == 2
    assert read_checkpoint(Path("run/checkpoints/last.ckpt"))["global_step"] == 4


def mount(*words: str) -> None:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount")
    if subprocess.run(["mount", *words], check=False, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")


@pytest.fixture
def before_save(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[int, Callable[[], object]]], None]:
    """Does something before the saves with these numbers."""

    def install(actions: dict[int, Callable[[], object]]) -> None:
        save, numbers = checkpoint.Checkpoint.save, iter(range(1000))

        def saving(self: checkpoint.Checkpoint, *args: object, **kwargs: object) -> None:
            actions.get(next(numbers), lambda: None)()
            save(self, *args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(checkpoint.Checkpoint, "save", saving)

    return install


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.slow
def test_a_real_disk_that_is_full_in_between(
    segtrain: Run, before_save: Callable[..., None], capsys: pytest.CaptureFixture[str], weights: Callable[..., dict]
):
    segtrain("train", *TINY, "run_dir=whole")
    Path("small").mkdir()
    mount("-t", "tmpfs", "-o", "size=4m", "none", "small")
    try:

        def fill() -> None:
            with suppress(OSError), open("small/filler", "wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))

        before_save({1: fill, 2: lambda: Path("small/filler").unlink()})
        assert segtrain("train", *TINY, "run_dir=small/run") == 0
        out = capsys.readouterr().out
        assert "step 3: no checkpoint could be written (small/run/checkpoints: No space left on device)" in out
        assert "step 6: the checkpoint could be written again" in out
        whole, part = weights("whole"), weights("small/run")
        assert all(torch.equal(whole[name], part[name]) for name in whole)
        assert not list(Path("small").rglob("*.tmp"))
        with open("small/run/metrics.csv", newline="") as file:
            assert [row["step"] for row in csv.DictReader(file) if row["IoU/val"]] == ["3", "6", "8"]
    finally:
        subprocess.run(["umount", "small"], check=True)


@pytest.mark.slow
def test_a_folder_that_becomes_read_only(
    segtrain: Run, before_save: Callable[..., None], capsys: pytest.CaptureFixture[str]
):
    folder = "run/checkpoints"

    def protect() -> None:
        mount("--bind", folder, folder)
        mount("-o", "remount,bind,ro", folder)

    before_save({2: protect})
    try:
        assert segtrain("train", *TINY, "run_dir=run") == 3
    finally:
        subprocess.run(["umount", folder], check=False)
    assert "step 6: no checkpoint could be written (run/checkpoints: Read-only file system)" in capsys.readouterr().out
    assert read_checkpoint(Path(folder) / "last.ckpt")["global_step"] == 3
    assert segtrain("train", "resume=run") == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_folder_that_vanishes(segtrain: Run, before_save: Callable[..., None], capsys: pytest.CaptureFixture[str]):
    before_save({2: lambda: Path("run").rename("gone")})
    assert segtrain("train", *TINY, "run_dir=run") == 3
    captured = capsys.readouterr()
    assert "step 6: no checkpoint could be written (run/checkpoints: No such file or directory)" in captured.out
    assert captured.err == ""
