import json
import math
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from segtrain.runs.recipe import Origin, changes, differing, origin
from segtrain.runs.record import Record
from tests.runs.conftest import SETTINGS

TEACHER = "first/checkpoints/best.ckpt"


def run_of(folder: Path, noted: Any = None, **changes: Any) -> Origin:
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump({**SETTINGS, **changes}))
    (folder / "environment.json").write_text(json.dumps(noted))
    return origin(folder)


def test_paths_start_from_where_a_run_began(tmp_path: Path):
    data = {**SETTINGS["data"], "root": "photos"}
    found = run_of(tmp_path / "a", cwd="/old/project", data=data, init="../x.ckpt", teacher=TEACHER)
    assert found.settings["data"]["root"] == "/old/project/photos"
    assert (found.settings["init"], found.teacher) == ("/old/x.ckpt", f"/old/project/{TEACHER}")
    of_older_run = run_of(tmp_path / "b", data=data, teacher=TEACHER)
    assert (of_older_run.settings["data"]["root"], of_older_run.teacher) == ("photos", TEACHER)


def test_what_runs_differ_in_is_shown_without_what_changes_no_result(tmp_path: Path):
    optimizer = SETTINGS["optimizer"]
    one = {"name": "x", "cwd": "/a", "optimizer": {**optimizer, "lr": 0.1, "betas": [0.9, 1]}, "logger": {"a": 1}}
    other = {"name": "y", "cwd": "/b", "optimizer": {**optimizer, "lr": None, "betas": [0.9, 1]}, "logger": {"a": 2}}
    runs = [
        run_of(tmp_path / "a", {"data": "1f"}, **one, seed=1, data={**SETTINGS["data"], "root": "/d", "workers": 1}),
        run_of(tmp_path / "b", {"data": "2e"}, **other, seed=2, data={**SETTINGS["data"], "root": "/d", "workers": 2}),
        run_of(tmp_path / "c", {}, teacher="/t.ckpt", train={"epochs": 3}),
    ]
    assert differing(runs) == {
        "data (fingerprint)": ["1f", "2e", "unknown"],
        "teacher (weights)": ["null", "null", "/t.ckpt"],
        "data.root": ["/d", "/d", "-"],
        "seed": ["1", "2", "0"],
        "optimizer.lr": ["0.1", "null", "-"],
        "optimizer.betas": ["[0.9, 1]", "[0.9, 1]", "-"],
        "train": ["{}", "{}", "-"],
        "teacher": ["-", "-", "/t.ckpt"],
        "train.epochs": ["-", "-", "3"],
    }
    assert differing(runs[:1] * 2) == {}


def test_seeds_of_a_recipe_with_minutes_are_seeds_of_one_recipe(tmp_path: Path):
    limits = [{"max_minutes": 50, "most_steps": 900}, {"max_minutes": 50, "most_steps": 907}, {"max_minutes": 40}]
    runs = [run_of(tmp_path / str(seed), seed=seed, train=limit) for seed, limit in enumerate(limits)]
    assert runs[0].recipe == runs[1].recipe
    assert runs[0].recipe != runs[2].recipe
    assert differing(runs[:2]) == {"seed": ["0", "1"], "train.most_steps": ["900", "907"]}


def test_what_was_changed_on_the_way_is_kept(tmp_path: Path):
    spec, optimizer = SETTINGS["data"], SETTINGS["optimizer"]

    def record(fingerprint: str = "1f", **changed: Any) -> Record:
        return Record("r", {**SETTINGS, **changed}, spec, spec, spec, "32-true", None, 3, fingerprint)

    folder = tmp_path / "a"
    before = run_of(folder, {"data": "1f"}, init=None, cwd="/a")
    assert changes(folder, record(data={**spec, "root": "/moved"}, logger={"a": 1})) == {}
    later = changes(folder, record(optimizer={**optimizer, "lr": 0.1}))
    assert later == {"optimizer.lr": "0.1"}
    (folder / "environment.json").write_text(json.dumps({"data": "1f", "changed": later}))
    assert origin(folder).recipe != before.recipe
    assert differing([before, origin(folder)]) == {"optimizer.lr, when it went on": ["-", "0.1"]}
    assert changes(folder, record("2e")) == {"optimizer.lr": "0.1", "data (fingerprint)": "2e"}
    (folder / "environment.json").write_text(json.dumps({"teacher": "37"}))
    (folder / "config.yaml").write_text("damaged")
    assert changes(folder, record()) == {"teacher (weights)": "null"}


def test_the_settings_of_a_stranger_are_texts(tmp_path: Path):
    strange = {
        5: {"x": 1},
        "\ud800\x1b": "\x1b[31m",
        "train": {7: [{date(2026, 1, 2): 8}, math.nan]},
        "cwd": 3,
        "init": 4,
    }
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "config.yaml").write_text(yaml.safe_dump({**SETTINGS, **strange}))
    deep = 900 * "[" + 900 * "]"
    (tmp_path / "a" / "environment.json").write_text(f'{{"changed": {{"x": {deep}, "y": 3}}}}')
    found = origin(tmp_path / "a")
    assert differing([found, run_of(tmp_path / "b", [1])]) == {
        "5.x": ["1", "-"],
        "\ufffd\ufffd": ["\ufffd[31m", "-"],
        "init": ["4", "-"],
        "train.7": ["[{}, NaN]", "-"],
        "train": ["-", "{}"],
    }
    assert found.recipe == origin(tmp_path / "a").recipe
