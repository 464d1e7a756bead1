"""Configs, flags, saved runs and fingerprints of older spellings count as those of today."""

import dataclasses
import json
import pathlib
import tarfile

import pytest

from jaxgan.checkpoints.manifest import config_of
from jaxgan.config.older import MOVED, original, renewed, renewed_keys
from jaxgan.config.overrides import load_config, resolve
from jaxgan.config.run import fingerprint, from_json, from_tree, to_json
from jaxgan.errors import UserError

pytestmark = pytest.mark.quick

SAVED = pathlib.Path(__file__).parent.parent / "golden" / "recorded" / "saved"
NETWORKS = {"generator": {"name": "dcgan.Generator", "widths": (8, 4)}, "discriminator": {"name": "mlp.Discriminator"}}
REST = {"task": {"name": "generation.Generation"}, "data": {"name": "jaxgan_digits"}, "images": 640}
FORMER = """
from ml_collections import ConfigDict

def get_config():
    config = ConfigDict()
    config.generator = dict(name="dcgan.Generator", widths=(8, 4))
    config.discriminator = dict(name="mlp.Discriminator")
    config.task = dict(name="generation.Generation")
    config.data = dict(name="jaxgan_digits")
    config.images = 640
    return config
"""


def saved_file(run, name):
    """A file of a run that was saved before networks had names, as text."""
    with tarfile.open(SAVED / f"{run}.tar.xz") as archive:
        return archive.extractfile(f"{run}/{name}").read().decode()


def test_a_users_config_is_read_and_told_its_new_spelling_once(tmp_path, caplog):
    (tmp_path / "x.py").write_text(FORMER)
    flags = {"generator.base_width": "3", "generator.widths": "None", "task.latent_dim": "5"}
    config = load_config(str(tmp_path / "x.py"), flags)
    assert config.networks["generator"] == {"name": "dcgan.Generator", "widths": None, "base_width": 3}
    assert config.networks["discriminator"] == {"name": "mlp.Discriminator"}
    assert [record.message for record in caplog.records] == [
        f"config.{name} is now config.networks.{name}: the older spelling is still read" for name in NETWORKS
    ]
    assert resolve({**REST, "networks": NETWORKS}, flags) == config


def test_todays_spelling_is_read_without_a_word(caplog):
    config = resolve({**REST, "networks": NETWORKS}, {"networks.generator.widths": "(16,)"})
    assert config.networks["generator"]["widths"] == (16,)
    assert not caplog.records


def test_flags_of_both_spellings_change_one_section():
    changes = {"generator.name": "mlp.Generator", "networks.generator.widths": "(3,)", "discriminator": "{}"}
    config = resolve({**REST, **NETWORKS}, changes)
    assert config.networks == {"generator": {"name": "mlp.Generator", "widths": (3,)}}


@pytest.mark.parametrize("today_first", [True, False])
@pytest.mark.parametrize(
    ("older", "today"),
    [
        ("task.loss", "task.adversary.loss"),
        ("generator.widths", "networks.generator.widths"),
        ("conditional", "task.condition"),
    ],
)
def test_one_field_in_both_spellings_is_a_mistake(older, today, today_first):
    changes = {today: "label", older: "false"} if today_first else {older: "false", today: "label"}
    with pytest.raises(UserError, match=f"config.{older} is now config.{today}: got both, expected one"):
        resolve({**REST, **NETWORKS}, changes)


def test_an_empty_section_is_no_network():
    config = resolve({**REST, **NETWORKS, "discriminator": {}}, {})
    assert config.networks == {"generator": NETWORKS["generator"]}
    assert resolve({**REST, "networks": NETWORKS}, {"networks.discriminator": "{}"}) == config


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"networks": NETWORKS, "generator": {"name": "x"}}, r"config\.generator does not .* networks\.generator\?"),
        ({"genrator": {"name": "x"}}, r"config\.genrator does not exist; did you mean networks\.generator\?"),
        ({"generator": 3}, r"config\.networks\.generator: got 3, expected a section"),
        ({"networks": 3, "generator": {"name": "x"}}, r"config\.networks: got 3, expected a section"),
        ({"generator": {"widths": (8,)}}, r"config\.networks\.generator\.name is missing"),
    ],
)
def test_a_mistake_is_told_in_todays_spelling(tree, words):
    with pytest.raises(UserError, match=words):
        resolve({**REST, **tree}, {})


@pytest.mark.parametrize("run", ["digits", "photos"])
def test_a_saved_config_and_a_record_of_the_first_format_are_read(run, caplog):
    text = saved_file(run, "config.json")
    saved, config = json.loads(text), from_json(text)
    assert saved["format"] == 1
    assert {name: saved["config"][name]["name"] for name in NETWORKS} == {
        name: section["name"] for name, section in config.networks.items()
    }
    assert json.loads(to_json(config))["format"] == 3
    assert from_json(to_json(config)) == config
    record = json.loads(saved_file(run, "checkpoints/4/manifest.json"))["record"]
    assert record["config"]["format"] == 1
    assert from_tree(config_of(record)) == config == from_tree(config_of({"config": json.loads(to_json(config))}))
    assert not caplog.records


def test_a_fingerprint_is_of_the_oldest_spelling_that_says_the_same():
    config = resolve({**REST, "networks": NETWORKS}, {})
    assert fingerprint(config) == "380bf72c1d"  # as it was before networks had names
    one = dataclasses.replace(config, networks={"generator": NETWORKS["generator"]})
    three = dataclasses.replace(config, networks={**NETWORKS, "critic": {"name": "mlp.Discriminator"}})
    assert len({fingerprint(each) for each in (config, one, three)}) == 3
    assert original({"networks": NETWORKS, **REST}) == {**NETWORKS, **REST}
    assert original({"networks": three.networks, **REST}) == {"networks": three.networks, **REST}


def test_converting_twice_changes_nothing():
    tree = {**REST, **NETWORKS}
    once, met = renewed(tree)
    assert (once, met) == ({**REST, "networks": NETWORKS}, list(MOVED[:2]))
    assert renewed(once) == (once, [])
    assert original(once) == tree
    keys, _ = renewed_keys({"generator.widths": "x", "generators": "y", "optimizers.generator.b1": "z"}, tree)
    assert keys == {"networks.generator.widths": "x", "generators": "y", "optimizers.generator.b1": "z"}
    for no_tree in (3, None, [tree]):
        assert renewed(no_tree) == (no_tree, [])


FLAT = {
    "name": "generation.Generation",
    "loss": "adversarial.hinge",
    "penalties": ({"name": "drift.drift"},),
    "pack": 2,
}
NESTED = {"name": FLAT["name"], "adversary": {key: value for key, value in FLAT.items() if key != "name"}}


def test_an_adversary_s_keys_stood_among_those_of_its_task(caplog):
    flags = {"task.top_k": "0.5", "task.penalties.0.weight": "3.0", "task.latent_dim": "5"}
    config = resolve({**REST, **NETWORKS, "task": FLAT}, flags)
    penalties = ({"name": "drift.drift", "weight": 3.0},)
    expected = {**NESTED["adversary"], "penalties": penalties, "top_k": 0.5}
    assert config.task == {"name": "generation.Generation", "adversary": expected, "latent_dim": 5}
    assert "config.task.loss is now config.task.adversary.loss: the older spelling is still read" in caplog.messages
    assert resolve({**REST, "networks": NETWORKS, "task": NESTED}, {"task": repr(FLAT)}).task == NESTED
    text = json.dumps({"format": 2, "config": {**REST, "networks": NETWORKS, "task": FLAT}})
    assert from_json(text).task == NESTED
    assert fingerprint(from_json(text)) == "d2739e13f3"  # as it was then


def test_a_task_of_one_s_own_has_its_own_keys():
    own = {"name": "mine.Task", "loss": "adversarial.hinge"}
    assert resolve({**REST, "networks": NETWORKS, "task": own}, {"task.loss": "mine.loss"}).task["loss"] == "mine.loss"
    changes = {"task.name": "mine.Task", "task.pack": "3"}
    assert resolve({**REST, **NETWORKS, "task": FLAT}, changes).task == {"name": "mine.Task", "pack": 3}


def test_of_an_adversary_without_a_network_nothing_was_made():
    task = {**FLAT, "name": "restoration.Restoration"}
    assert "adversary" not in renewed({**REST, "generator": NETWORKS["generator"], "task": task})[0]["task"]


@pytest.mark.parametrize(
    ("conditional", "condition", "ways"),
    [(False, None, None), (True, "label", None), ("norm+projection", "label", ("norm", "projection"))],
)
def test_how_networks_get_labels_was_one_field_of_a_run(conditional, condition, ways, caplog):
    config = resolve({**REST, "networks": NETWORKS, "conditional": conditional}, {})
    assert config.task.get("condition") == condition
    told = [section.get("conditioning") for section in config.networks.values()]
    assert told == list(ways or (None, None))
    flag = resolve({**REST, "networks": NETWORKS}, {"conditional": str(conditional).lower()})
    assert (fingerprint(flag), flag.networks) == (fingerprint(config), config.networks)
    assert "config.conditional is now config.task.condition: the older spelling is still read" in caplog.messages
    written = {**NETWORKS, **REST} | ({"conditional": conditional} if conditional else {})
    assert original({"networks": config.networks, **REST, "task": config.task}) == written
    assert from_json(json.dumps({"format": 1, "config": {**NETWORKS, **REST, "conditional": conditional}})) == config
