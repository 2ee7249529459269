"""Whose fault an error is."""

import pytest

from segtrain.errors import UserError, from_user


def test_a_value_error_inside_is_the_users() -> None:
    with pytest.raises(UserError, match="loss: three numbers") as caught, from_user(where="loss: "):
        raise ValueError("three numbers")
    assert isinstance(caught.value.__cause__, ValueError)


def test_what_already_is_the_users_keeps_its_words() -> None:
    with pytest.raises(UserError, match=r"^lr=-1$"), from_user(where="optimizer: "):
        raise UserError("lr=-1")


def test_other_errors_stay_bugs() -> None:
    with pytest.raises(TypeError), from_user():
        raise TypeError("no")
    with pytest.raises(ValueError, match="no") as caught, from_user(TypeError):
        raise ValueError("no")
    assert not isinstance(caught.value, UserError)
