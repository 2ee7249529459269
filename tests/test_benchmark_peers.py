"""scripts/benchmark_peers.py: what its table says; slow: a round on six small images."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import script
from tests.test_compare import SMALL, images  # noqa: F401

SCRIPT = Path(__file__).parents[1] / "scripts" / "benchmark_peers.py"


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(SCRIPT.parent)
    return script("benchmark_peers")


def test_the_table_has_the_medians_of_rates_and_of_ratios_within_a_round(peers: Any) -> None:
    entries = [peers.Entry(name, "auto", None, None) for name in (*peers.OURS, "theirs")]
    rounds = {
        entries[0]: [peers.Speed(20.0, 40.0), peers.Speed(10.0, 20.0), peers.Speed(30.0, 90.0)],
        entries[1]: [peers.Speed(2.0, 4.0), peers.Speed(1.0, 2.0), peers.Speed(3.0, 9.0)],
        entries[2]: [peers.Speed(5.0, 20.0), peers.Speed(5.0, 20.0), peers.Speed(5.0, 30.0)],
    }
    row = "| theirs | auto | 5.0 images/s | 20.0 images/s | 4.00 x | 2.00 x | 0.40 x | 0.20 x |"
    assert peers.table(rounds, {}).splitlines()[4] == row
    learned = {entry: peers.Result(0.25, 100, 60.0) for entry in entries}
    assert peers.table(rounds, learned).splitlines()[4] == f"{row} 0.2500 (100) |"


def test_a_network_whose_library_is_not_there_is_left_out(
    peers: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: None if name.startswith("segmentation") else name)
    rows = peers.entries([*peers.RECIPE, "data.root=."], list(peers.PEERS), 1.0, 1)
    assert [row.title for row in rows[:3]] == ["fcn_small", "fcn_r50", "torchvision lraspp_mobilenet_v3_large"]
    assert len(rows) == 2 + 2 * 2
    assert "smp Unet-resnet34: left out, since there is no segmentation_models_pytorch" in capsys.readouterr().out


@pytest.mark.slow
def test_a_round_measures_ours_and_a_peer_in_both_precisions(images: Path, tmp_path: Path) -> None:  # noqa: F811
    options = ["--rounds", "1", "--seconds", "0.2", "--steps", "1", "--minutes", "0.001", "--out", "peers"]
    options += ["--peers", "torchvision lraspp_mobilenet_v3_large"]
    command = [sys.executable, str(SCRIPT), str(images), *SMALL, *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + 2 + 2  # titles and a rule, two of ours, two of theirs
    assert all(re.search(r" [01]\.\d{4} \(\d+\) \|$", row) for row in rows[2:])
