"""What is said where an optional package is not installed."""

from __future__ import annotations

import sys

import pytest

import ranef
from ranef.errors import ModelError


def test_marginaleffects_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "marginaleffects", None)
    monkeypatch.delitem(sys.modules, "ranef.ecosystem.marginaleffects_model", raising=False)
    m = ranef.lmm("Reaction ~ Days + (1 | Subject)", ranef.datasets.load("sleepstudy"))
    with pytest.raises(ModelError, match=r"pip install 'ranef\[effects\]'"):
        ranef.as_marginaleffects(m)
