import pytest

from segtrain.training.loggers.outage import Outage


def test_a_service_that_fails_is_named_once_until_it_works_again(capsys: pytest.CaptureFixture[str]):
    outage, lines = Outage("MLflow"), []
    for error in (ConnectionError("no\n  route"), ConnectionError("no route"), None, ValueError("too long")):
        with outage.survived():
            if error:
                raise error
        lines.append(capsys.readouterr().out)
    gap = "its curves have a gap from here"
    first, last = f"(ConnectionError: no route): {gap}\n", f"(ValueError: too long): {gap}\n"
    assert lines == [f"MLflow was not told {first}", "", "", f"MLflow was not told {last}"]
