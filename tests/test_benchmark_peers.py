"""scripts/benchmark_peers.py: what its table says; slow: a round on six small images."""

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
    entries = [peers.Entry(name, "auto", None) for name in peers.OURS] + [peers.Entry("theirs", "fp32", None)]
    rounds = {
        entries[0]: [peers.Speed(20.0, 40.0), peers.Speed(10.0, 20.0), peers.Speed(30.0, 90.0)],
        entries[1]: [peers.Speed(2.0, 4.0), peers.Speed(1.0, 2.0), peers.Speed(3.0, 9.0)],
        entries[2]: [peers.Speed(5.0, 20.0), peers.Speed(5.0, 20.0), peers.Speed(5.0, 30.0)],
    }
    assert peers.table(rounds).splitlines()[4] == (
        "| theirs | fp32 | 5.0 images/s | 20.0 images/s | 4.00 x | 2.00 x | 0.40 x | 0.20 x |"
    )


@pytest.mark.slow
def test_a_round_measures_ours_and_a_peer_in_both_precisions(images: Path, tmp_path: Path) -> None:  # noqa: F811
    options = ["--rounds", "1", "--seconds", "0.2", "--steps", "1", "--peers", "torchvision lraspp_mobilenet_v3_large"]
    command = [sys.executable, str(SCRIPT), str(images), *SMALL, *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + 2 + 2  # titles and a rule, two of ours, two of theirs
