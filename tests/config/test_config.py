"""Reading, changing, checking and saving a config."""

import dataclasses
import json

import pytest

from jaxgan.config.overrides import load_config, resolve, shrink
from jaxgan.config.run import describe, fingerprint, from_json, to_json, to_tree
from jaxgan.errors import UserError

TREE = {
    "networks": {
        "generator": {"name": "dcgan.Generator", "widths": [8, 4]},
        "discriminator": {"name": "dcgan.Discriminator"},
    },
    "task": {
        "name": "generation.Generation",
        "adversary": {"loss": "adversarial.hinge", "penalties": [{"name": "gradient_penalty.r1", "gamma": 1.0}]},
    },
    "optimizers": {"generator": {"name": "adam", "learning_rate": 1e-3, "b1": 0.5}},
    "data": {"name": "jaxgan_digits"},
    "images": 640,
}

pytestmark = pytest.mark.quick


def changed(**overrides):
    return resolve(TREE, {key.replace("__", "."): value for key, value in overrides.items()})


def test_fields_are_read_and_changed():
    config = changed(batch_size="32", data__flip="true", data__name="123", data__resolution="32", seed="7")
    assert (config.batch_size, config.data.flip, config.data.name, config.data.resolution) == (
        32,
        True,
        "123",
        32,
    )
    assert config.networks["generator"]["widths"] == (8, 4)
    assert changed(data__data_dir="None").data.data_dir is None
    assert changed(ema__rampup="0.05").ema.rampup == 0.05
    assert changed(parallel__mesh__fsdp="2").parallel.mesh == {"fsdp": 2}


def test_section_keys_are_changed_by_their_path():
    config = changed(
        networks__generator__widths="(16,8)",
        optimizers__generator__learning_rate="3e-4",
        task__adversary__penalties__0__gamma="2",
    )
    assert config.networks["generator"]["widths"] == (16, 8)
    assert config.optimizers["generator"] == {"name": "adam", "learning_rate": 3e-4, "b1": 0.5}
    assert config.task["adversary"]["penalties"] == ({"name": "gradient_penalty.r1", "gamma": 2},)


def test_another_name_drops_the_keys_of_the_old_one():
    config = changed(networks__generator__name="mlp.Generator", networks__generator__channels="1")
    assert config.networks["generator"] == {"name": "mlp.Generator", "channels": 1}
    assert config.optimizers["generator"]["b1"] == 0.5
    assert changed(data__name="cifar10", data__fit="pad").data.fit == "pad"


def test_the_same_name_again_drops_nothing():
    assert changed(networks__generator__name="dcgan.Generator").networks["generator"]["widths"] == (8, 4)


def test_a_length_on_the_command_line_replaces_the_files():
    assert changed(epochs="2.5").images is None
    assert changed(images="64").images == 64


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("batchsize", "8", r"config\.batchsize does not exist; did you mean batch_size\?"),
        ("data.nam", "x", r"config\.data\.nam does not exist; did you mean name\?"),
        ("batch_size", "many", r"config\.batch_size: got 'many', expected int"),
        ("batch_size", "0", r"config\.batch_size: got 0, expected 1 or more"),
        ("batch_size", "True", r"config\.batch_size: got True, expected int"),
        ("ema.rampup", "fast", r"config\.ema\.rampup: got 'fast', expected float of 0 or more or None"),
        ("data.fit", "stretch", r"config\.data\.fit: got 'stretch', expected 'pad' or 'resize' or 'crop'"),
        ("microbatches", "3", r"config\.microbatches: got 3, expected a divisor of batch_size=64"),
        ("parallel.mesh.dta", "2", r"config\.parallel\.mesh\.dta does not exist; did you mean data\?"),
        ("data.name", "", r"config\.data\.name is missing"),
        ("seed", "-1", r"config\.seed: got -1"),
        ("task.adversary.loss.x", "1", r"config\.task\.adversary\.loss: it has no keys below it"),
        ("networks.generator", "3", r"config\.networks\.generator: got 3, expected a section"),
        ("watch.patience", "0", r"config\.watch\.patience: got 0"),
        ("watch.max_rollbacks", "-3", r"config\.watch\.max_rollbacks: got -3, expected 0 or more"),
        ("ema.half_life_images", "-5", r"config\.ema\.half_life_images: got -5, expected 0 or more"),
        ("ema.half_life_images", "1e400", r"config\.ema\.half_life_images: got inf"),
        ("networks.generator.widths", "{1}", r"config\.networks\.generator\.widths: got \{1\}, expected numbers"),
        (
            "networks.generator.widths",
            "{1: 2}",
            r"config\.networks\.generator\.widths: got the key 1, expected names",
        ),
        ("networks.generator", "{[1]: 2}", r"config\.networks\.generator: got '\{\[1\]: 2\}', expected a section"),
    ],
)
def test_a_mistake_is_named_in_one_line(key, text, words):
    with pytest.raises(UserError, match=words) as mistake:
        resolve(TREE, {key: text})
    assert "\n" not in str(mistake.value)


def test_a_mistake_in_the_file_is_named_too():
    with pytest.raises(UserError, match=r"config\.batch_size: got '64', expected int"):
        resolve({**TREE, "batch_size": "64"}, {})
    with pytest.raises(UserError, match=r"config\.task\.adversary\.penalties\.0\.gamma: got .*len.*, expected numbers"):
        resolve(
            {
                **TREE,
                "task": {**TREE["task"], "adversary": {"penalties": [{"name": "gradient_penalty.r1", "gamma": len}]}},
            },
            {},
        )
    with pytest.raises(UserError, match=r"config\.3 does not exist"):
        resolve({**TREE, 3: 4}, {})
    with pytest.raises(UserError, match="got both"):
        resolve({**TREE, "epochs": 1}, {})
    with pytest.raises(UserError, match="got neither"):
        resolve({key: value for key, value in TREE.items() if key != "images"}, {})
    with pytest.raises(UserError, match=r"config\.task\.name is missing"):
        resolve({**TREE, "task": {}}, {})
    for key in ("stride", "hop"):
        message = f"config.data.{key}: got 2, which applies to clips only: set config.data.frames"
        with pytest.raises(UserError, match=message):
            resolve(TREE, {f"data.{key}": "2"})
        assert getattr(resolve(TREE, {f"data.{key}": "2", "data.frames": "3"}).data, key) == 2
    with pytest.raises(UserError, match=r"config.data.pan: got 2, which applies to crops only: set config.data.crops"):
        resolve(TREE, {"data.pan": "2", "data.frames": "3"})


def write(path, body):
    path.write_text(f"from ml_collections import ConfigDict, config_dict\n\n\ndef get_config(argument=None):\n{body}")
    return str(path)


def test_a_file_is_executed_with_its_argument(tmp_path):
    path = write(tmp_path / "x.py", f"    return ConfigDict({TREE!r} | dict(seed=int(argument or 3)))\n")
    assert load_config(path).seed == 3
    assert load_config(f"{path}:9").seed == 9
    assert load_config(path, {"seed": "4"}).seed == 4


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("    return 3\n", "returned a int"),
        ("    return ConfigDict().missing\n", "AttributeError"),
        ("    (\n", "SyntaxError"),
        ("    raise SystemExit(0)\n", "SystemExit"),
        ("    return ConfigDict({'seed': config_dict.required_placeholder(int)})\n", "RequiredValueError"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_one_line(tmp_path, body, words):
    with pytest.raises(UserError, match=words) as mistake:
        load_config(write(tmp_path / "x.py", body))
    assert "\n" not in str(mistake.value)
    with pytest.raises(UserError, match="no such file"):
        load_config(str(tmp_path / "nowhere.py"))
    (tmp_path / "empty.py").write_text("x = 1\n")
    with pytest.raises(UserError, match="no function get_config"):
        load_config(str(tmp_path / "empty.py"))


def test_json_round_trip():
    config = changed(ema__half_life_images="{'name': 'linear', 'start': 0, 'stop': 9.5, 'images': 10}")
    assert from_json(to_json(config)) == config
    assert json.loads(to_json(config))["config"]["networks"]["generator"]["widths"] == [8, 4]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_has_not_is_not_saved(value):
    section = {**TREE["task"], "adversary": {"penalties": [{"name": "gradient_penalty.r1", "gamma": value}]}}
    with pytest.raises(UserError, match=rf"config\.task\.adversary\.penalties\.0\.gamma: got {value}, expected finite"):
        to_json(resolve({**TREE, "task": section}, {}))


@pytest.mark.parametrize(
    "text", ["{", "[" * 100_000, "3", '{"format": 99, "config": {}}', '{"format": 1, "config": {"x": 1}}']
)
def test_a_foreign_saved_config_is_refused(text):
    with pytest.raises(UserError):
        from_json(text)


def test_the_fingerprint_is_of_what_is_trained():
    config = changed()
    assert fingerprint(changed(data__data_dir="elsewhere")) == fingerprint(config)
    assert fingerprint(changed(seed="1")) != fingerprint(config)
    assert fingerprint(changed(data__crops="4")) != fingerprint(config)


def test_a_field_at_its_default_leaves_the_fingerprint_as_it_is(monkeypatch):
    """So that records stay valid when a later version has one more field."""
    later = dataclasses.make_dataclass("Later", [("news", int, 3)], bases=(type(changed()),), frozen=True)
    config = changed(seed="5")
    fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    monkeypatch.setattr("jaxgan.config.run.RunConfig", later)
    assert fingerprint(later(**fields)) == fingerprint(config)
    assert fingerprint(later(**fields, news=4)) != fingerprint(config)


def test_further_data_are_sections_like_the_main_one():
    flags = {"more_data.b.name": "123", "more_data.b.flip": "true", "more_data.c.source.name": "procedural.Shapes"}
    config = resolve(TREE, flags)
    assert list(config.sources) == ["data", "b", "c"]
    assert (config.sources["b"].name, config.sources["b"].flip, config.sources["b"].split) == ("123", True, "train")
    assert from_json(to_json(config)) == config
    assert shrink(config).more_data["c"].resolution == 16
    elsewhere = resolve(to_tree(config), {"more_data.b.data_dir": "elsewhere"})
    assert fingerprint(elsewhere) == fingerprint(config) != fingerprint(resolve(TREE, {}))
    other = resolve(to_tree(config), {"more_data.c.name": "mnist"}).sources["c"]
    assert (other.name, other.source) == ("mnist", {})
    with pytest.raises(UserError, match=r"^config\.more_data: got 3, expected sections by name"):
        resolve({**TREE, "more_data": 3}, {})


def test_tiny_cuts_a_run_down():
    tiny = changed(tiny="true")
    assert (tiny.data.resolution, tiny.images, tiny.batch_size) == (16, 64, 8)
    assert tiny.networks["generator"] == {"name": "dcgan.Generator", "base_width": 8}
    assert shrink(tiny) == dataclasses.replace(tiny)
    assert resolve(to_tree(tiny), {}) == tiny


def test_what_is_asked_for_beside_tiny_stays():
    tiny = changed(tiny="true", images="128", data__resolution="32", networks__generator__widths="(4,4,4)")
    assert (tiny.data.resolution, tiny.images, tiny.batch_size, tiny.networks["generator"]["widths"]) == (
        32,
        128,
        8,
        (4, 4, 4),
    )
    resumed = resolve(to_tree(tiny), {"images": "256"}, saved=True)
    assert resumed == dataclasses.replace(tiny, images=256)


def test_every_field_is_described():
    rows = describe()
    names = [name for name, *_ in rows]
    assert {"config.batch_size", "config.data.cache", "config.watch.patience"} <= set(names)
    assert all(told for *_, told in rows)
