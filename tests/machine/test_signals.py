import os
import signal
import subprocess
import sys
import time

import pytest

from segtrain.machine import signals
from segtrain.machine.signals import Stop, Stopped

os_write = os.write

LOOP = """
import os, signal, time
from segtrain.machine.signals import Stop
stop = Stop()
stop.listen()
print("ready", flush=True)
while not (stop.number and {ends}):
    time.sleep(0.01)
print("finished", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_noted_and_what_was_there_before_comes_back(number: signal.Signals):
    before = signal.getsignal(number)
    stop = Stop()
    stop.listen()
    try:
        assert stop.number == 0
        os.kill(os.getpid(), number)
        assert stop.number == number
    finally:
        stop.close()
    assert signal.getsignal(number) is before


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    stop = Stop()
    try:
        stop.listen()
        os.kill(os.getpid(), signal.SIGHUP)
        assert stop.number == 0
    finally:
        stop.close()
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_exit_status_is_a_shells(number: signal.Signals):
    with pytest.raises(SystemExit) as caught:
        raise Stopped(number)
    assert caught.value.code == 128 + number


def running(ends: bool) -> subprocess.Popen[str]:
    code = LOOP.format(ends=ends)
    process = subprocess.Popen(
        [sys.executable, "-c", code], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_one_ctrl_c_lets_the_step_finish():
    process = running(ends=True)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "finished\n")
    assert "once more stops now" in err


def test_a_second_ctrl_c_ends_at_once():
    process = running(ends=False)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err


def test_on_a_terminal_the_notice_takes_the_place_of_the_bar(monkeypatch: pytest.MonkeyPatch):
    reader, terminal = os.openpty()
    monkeypatch.setattr(signals.os, "write", lambda _, text: os_write(terminal, text))
    monkeypatch.setattr(signals.os, "isatty", lambda _: True)
    Stop()._note(signal.SIGINT, None)
    assert os.read(reader, 200).startswith(b"\r\x1b[2Ksegtrain: stopping")
    os.close(reader)
    os.close(terminal)


def test_of_several_processes_one_speaks(capfd: pytest.CaptureFixture[str]):
    for speaks in (True, False):
        stop = Stop(speaks=speaks)
        stop._note(signal.SIGINT, None)
        assert stop.number == signal.SIGINT
    assert capfd.readouterr().err.count("stopping after this step") == 1


def test_outside_of_training_ctrl_c_ends_at_once_and_quietly():
    code = "import time\nfrom segtrain.machine.signals import ctrl_c_ends\nctrl_c_ends()\n"
    code += "print(1, flush=True)\ntime.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err
