"""The diagnosis of constructed curves."""

import dataclasses
import math

import numpy as np
import pytest

from jaxgan.building.builder import check_sections
from jaxgan.config.overrides import resolve
from jaxgan.config.run import WatchConfig, from_tree, to_tree
from jaxgan.stability.diagnosis import Record, diagnose, verdict
from jaxgan.stability.ranges import LOSSES, normal_range

HEALTHY = {
    "discriminator/loss": 1.0,
    "discriminator/grad_norm": 2.0,
    "discriminator/accuracy": 0.8,
    "discriminator/real_logits": 1.0,
    "discriminator/fake_logits": -1.0,
    "generator/loss": 1.5,
    "generator/grad_norm": 0.5,
    "skipped": 0.0,
}
SCORES = {
    "frechet/c": 3.0,
    "recall/c": 0.6,
    "diversity/c": 0.9,
    "motion/c": 1.1,
    "motion_diversity/c": 0.9,
    "held_out/train_logits": 1.0,
    "held_out/real_logits": 0.9,
    "held_out/fake_logits": -1.0,
}
R1 = ({"name": "gradient_penalty.r1", "gamma": 2.0},)


def config_of(loss="non_saturating", **adversary):
    adam = {"name": "adam", "learning_rate": 3e-4}
    return from_tree(
        {
            "networks": {
                "generator": {"name": "dcgan.Generator"},
                "discriminator": {"name": "dcgan.Discriminator"},
            },
            "task": {"name": "generation.Generation", "adversary": {"loss": f"adversarial.{loss}", **adversary}},
            "optimizers": {"generator": adam, "discriminator": adam},
            "data": {"name": "mnist"},
            "images": 1000,
        }
    )


def record_of(config=None, *, later=None, data_size=60_000, **fields):
    """100 lines of a healthy run, the last 30 updated by `later`, with an evaluation every 20 lines."""
    random, lines = np.random.default_rng(0), []
    for number in range(1, 101):
        scalars = {name: value * float(np.exp(random.normal(0, 0.1))) for name, value in HEALTHY.items()}
        scalars |= SCORES if number % 20 == 0 else {}
        changed = {k: v for k, v in (later or {}).items() if k in scalars} if number > 70 else {}
        lines.append({"step": number * 50, "images": number * 3200, "scalars": scalars | changed})
    return Record(lines, config or config_of(), data_size=data_size, **fields)


def bad(record):
    return {finding.subject: finding for finding in diagnose(record) if finding.grade == "bad"}


def test_a_healthy_run_is_healthy():
    findings = diagnose(record_of())
    assert {finding.grade for finding in findings} == {"fine"}
    assert verdict(findings) == "verdict: healthy"
    assert "79%" in next(finding.text for finding in findings if finding.subject == "balance")


def test_a_run_without_logs_has_no_diagnosis():
    assert diagnose(Record([], config_of())) == []
    assert "nothing was logged yet" in verdict([])


CASES = {
    "collapse": ({"recall/c": 0.0}, "collapsed", "--config.task.adversary.loss=adversarial.relativistic"),
    "collapse by falling": ({"diversity/c": 0.4}, "collapsed", "gradient_penalty.r2"),
    "motion": ({"motion/c": 0.0}, "hardly move", "--config.task.adversary.loss=adversarial.relativistic"),
    "motion alike": ({"motion_diversity/c": 0.1}, "move alike", "gradient_penalty.r2"),
    "overfitting": ({"held_out/real_logits": -0.8}, "overfitted", "--config.task.adversary.augment="),
    "balance": ({"discriminator/accuracy": 0.1}, "out of balance", "discriminator.learning_rate=0.0006"),
    "balance won": (
        {"discriminator/accuracy": 1.0, "discriminator/loss": 1e-4},
        "out of balance",
        "gradient_penalty.r1",
    ),
    "gradients gone": ({"generator/grad_norm": 1e-9}, "broken", "gradient_penalty.r1"),
    "gradients explode": ({"generator/grad_norm": 1e6}, "broken", "generator.learning_rate=0.0001"),
    "gradients not finite": ({"discriminator/loss": math.nan}, "broken", "discriminator.learning_rate=0.0001"),
    "divergence": (
        {"discriminator/real_logits": 80.0, "discriminator/fake_logits": -80.0},
        "diverging",
        "gradient_penalty.r1",
    ),
    "progress": ({"frechet/c": 9.0}, "past its best", "--checkpoint=best"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_failure_is_named_with_the_flag_to_change(case):
    later, words, change = CASES[case]
    record = record_of(later=later)
    found = bad(record)
    assert set(found) == {case.split()[0]}
    finding = found[case.split()[0]]
    assert change in " ".join(finding.changes)
    assert words in verdict(diagnose(record))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("penalties", [(), R1], ids=["bare", "r1"])
def test_every_suggested_change_is_a_valid_override(case, penalties):
    config = config_of(penalties=penalties)
    for finding in diagnose(record_of(config, later=CASES[case][0], data_size=300)):
        flags = [change.split("=", 1) for change in finding.changes if change.startswith("--config.")]
        overrides = {flag.removeprefix("--config."): text.strip('"') for flag, text in flags}
        check_sections(resolve(to_tree(config), overrides))


def test_for_clips_that_do_not_move_more_frames_and_faster_motion_codes_are_advised():
    config = config_of()
    networks = {**config.networks, "generator": {"name": "video.Frames", "motion": {"every": 8.0}}}
    config = dataclasses.replace(config, networks=networks, task={**config.task, "frames_seen": 3})
    found = bad(record_of(config, later={"motion/c": 0.0}))["motion"]
    assert found.changes == ("--config.task.frames_seen=4", "--config.networks.generator.motion.every=4")
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, frames=3))  # all are seen
    found = bad(record_of(config, later={"motion/c": 0.0}))["motion"]
    assert found.changes == ("--config.networks.generator.motion.every=4",)


def test_runs_of_images_have_no_finding_on_motion():
    lines = [{"step": 1, "images": 64, "scalars": {**HEALTHY, "recall/c": 0.6}}]
    assert "motion" not in {finding.subject for finding in diagnose(Record(lines, config_of()))}


def test_players_are_taken_from_the_config():
    renamed = {name.replace("discriminator", "critic"): value for name, value in HEALTHY.items()}
    lines = [{"step": n, "images": n, "scalars": {**renamed, "critic/accuracy": 0.1}} for n in range(20)]
    config = config_of()
    optimizers = {name.replace("discriminator", "critic"): section for name, section in config.optimizers.items()}
    found = bad(Record(lines, dataclasses.replace(config, optimizers=optimizers), data_size=60_000))
    assert found["balance"].changes == ("--config.optimizers.critic.learning_rate=0.0006",)


def test_a_present_penalty_is_multiplied():
    record = record_of(config_of(penalties=R1), later={"discriminator/accuracy": 1.0, "discriminator/loss": 0.0})
    assert bad(record)["balance"].changes == ("--config.task.adversary.penalties.0.gamma=20",)


def test_too_few_images_are_reported_unless_augmented():
    assert "300 training images" in bad(record_of(data_size=300))["data"].text
    assert "data" not in bad(record_of(config_of(augment={"name": "ada.ADA"}), data_size=300))


def test_rollbacks_and_skipped_rounds_are_a_failure():
    assert "3 rollbacks" in bad(record_of(rollbacks=3))["gradients"].text
    assert "900 of 5000 rounds" in bad(record_of(later={"skipped": 900.0}))["gradients"].text


def test_unmeasured_subjects_are_unknown_not_fine():
    lines = [{"step": n, "images": n, "scalars": HEALTHY} for n in range(20)]
    findings = diagnose(Record(lines, config_of()))
    unknown = {finding.subject for finding in findings if finding.grade == "unknown"}
    assert unknown == {"data", "collapse", "overfitting"}


def test_logits_logged_by_an_older_version_do_not_measure_overfitting():
    old = {"held_out/train_logits": 1.0, "held_out/real_logits": -0.8}  # without fakes judged in the same way
    lines = [{"step": n, "images": n, "scalars": {**HEALTHY, **old}} for n in range(20)]
    found = next(each for each in diagnose(Record(lines, config_of())) if each.subject == "overfitting")
    assert (found.grade, found.text) == (
        "unknown",
        "No logits of fakes were logged beside those of held-out images, so overfitting of the discriminator would go "
        "unnoticed.",
    )


def test_the_normal_range_depends_on_the_loss():
    apart = {"discriminator/accuracy": 1.0, "discriminator/loss": 1e-3, "discriminator/real_logits": 40.0}
    assert "balance" in bad(record_of(config_of("hinge"), later=apart))
    assert "divergence" in bad(record_of(config_of("hinge"), later=apart))
    assert bad(record_of(config_of("wasserstein"), later=apart)) == {}


def test_each_adversary_is_judged_by_its_own_loss_and_changed_in_its_own_section():
    tree = to_tree(config_of())
    adam = tree["optimizers"]["generator"]
    of_frames, of_clips = {"network": "frames", "loss": "adversarial.hinge"}, {"network": "clips"}
    of_clips |= {"loss": "adversarial.wasserstein", "penalties": R1}
    tree["task"] = {"name": "outside.Clips", "of_frames": of_frames, "parts": {"of_clips": of_clips}}
    tree["optimizers"] = {"generator": adam, "frames": adam, "clips": adam}
    lines = record_of().lines
    apart = {"accuracy": 1.0, "loss": 1e-3, "real_logits": 40.0, "fake_logits": -1.0}
    judged = {f"{judge}/{name}": value for judge in ("frames", "clips") for name, value in apart.items()}
    record = Record([{**each, "scalars": judged} for each in lines], from_tree(tree), data_size=60_000)
    findings = {finding.text.split(" ranks ")[0]: finding for finding in diagnose(record)[1:3]}
    assert findings["The clips"].grade == "fine"  # a Wasserstein critic may rank all pairs correctly
    assert findings["The frames"].changes[0].startswith("--config.task.of_frames.penalties=")
    diverging = bad(record)["divergence"]
    assert "The logits of the frames diverge" in diverging.text
    assert diverging.changes[0].startswith("--config.task.of_frames.penalties=")
    lost = [{**each, "scalars": judged | {"clips/accuracy": 0.1, "frames/accuracy": 0.7}} for each in lines]
    change = bad(Record(lost, from_tree(tree), data_size=60_000))["balance"].changes
    assert change == ("--config.task.parts.of_clips.penalties.0.gamma=0.2",)


def test_a_zero_centred_penalty_narrows_the_range_and_the_config_wins():
    free, held = (normal_range(config_of(penalties=each).adversary) for each in ((), R1))
    assert held.widest_gap < free.widest_gap
    assert held.penalties == ("r1",)
    assert set(LOSSES) >= {"minimax", "hinge", "wasserstein", "relativistic"}

    @dataclasses.dataclass(frozen=True)
    class Explicit(WatchConfig):
        widest_gap: float | None = 7.0
        finished_loss: float | None = None

    adversary = config_of(penalties=R1).adversary
    assert normal_range(adversary, Explicit()).widest_gap == 7.0
    assert normal_range(adversary, Explicit()).finished_loss == held.finished_loss
