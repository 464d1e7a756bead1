"""What `pip install jaxgan` brings, and what it leaves to the extras."""

import re
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]


def test_the_base_has_bounds_above_and_below_and_no_plots():
    needed = {re.match(r"[\w-]+", each)[0]: each for each in PROJECT["dependencies"]}
    assert "matplotlib" not in needed
    assert [each for each in needed.values() if not re.search(r">=[\d.]+,<[\d.]+$", each)] == []
    floor = re.search(r">=([\d.]+)", needed["pillow"])[1]
    assert tuple(map(int, floor.split("."))) >= (11, 3)


def test_curves_come_with_the_extra_that_the_demo_and_the_tests_have():
    extras = PROJECT["optional-dependencies"]
    assert any(each.startswith("matplotlib") for each in extras["plots"])
    assert "jaxgan[plots]" in extras["demo"]
    assert any(re.fullmatch(r"jaxgan\[(.*,)?demo(,.*)?\]", each) for each in extras["test"])
