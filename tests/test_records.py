"""Records of long results count: the hashes of their configs are those that they were recorded with."""

import json
import pathlib

import pytest

from benchmarks.results import EXPERIMENTS, Run

RECORDS = pathlib.Path(__file__).parent.parent / "docs" / "results"


@pytest.mark.quick
@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDS.glob("*.jsonl")))
def test_every_record_is_of_a_config_of_today(name):
    experiment = EXPERIMENTS[name]
    runs = [Run(name, row, seed, RECORDS, None) for seed in experiment.seeds for row in experiment.configs]
    records = [json.loads(line) for line in (RECORDS / f"{name}.jsonl").read_text().splitlines()]
    assert records
    assert {each["config_hash"] for each in records if not any(run.made(each) for run in runs)} == set()
