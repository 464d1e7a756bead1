"""The stability watch on constructed metrics."""

import dataclasses
import math

import numpy as np
import pytest

from jaxgan.game import Phase
from jaxgan.stability.ranges import UNKNOWN, normal_range
from jaxgan.stability.watch import Watch, WatchConfig, overfitting

HEALTHY = {
    "discriminator/loss": 0.6,
    "discriminator/grad_norm": 2.0,
    "discriminator/accuracy": 0.8,
    "generator/loss": 0.9,
    "generator/grad_norm": 0.5,
    "skipped": 0.0,
    "skipped_in_a_row": 0.0,
}
QUICK = WatchConfig(patience=10, max_skipped_in_a_row=5)
PHASES = (
    Phase("discriminator", "discriminator", None),
    Phase("discriminator_r1", "discriminator", None, every=4, lazy=True),
    Phase("generator", "generator", None),
)


def row(**changes):
    return HEALTHY | {name.replace("__", "/"): value for name, value in changes.items()}


def play(watch, rounds, start=0, **changes):
    """The alarms of several equal rounds."""
    return [alarm for step in range(start, start + rounds) for alarm in watch.observe(step, row(**changes))]


def kinds(alarms):
    return [(alarm.kind, alarm.fatal) for alarm in alarms]


def test_a_healthy_game_raises_no_alarm():
    """Noisy metrics; the discriminator wins nearly every pair for the first 300 rounds, as in real runs."""
    random, watch = np.random.default_rng(0), Watch(WatchConfig(), phases=PHASES)
    for step in range(1500):
        early = step < 300
        pairs = random.binomial(64, 0.999 if early else 0.85) / 64
        noise = float(np.exp(random.normal(0, 1.5)))
        metrics = row(
            discriminator__accuracy=pairs,
            discriminator__loss=(0.05 if early else 0.6) * noise,
            discriminator__grad_norm=3 * noise,
            generator__grad_norm=(1e-3 if early else 1.0) * noise,
        )
        metrics["discriminator_r1/grad_norm"] = 1e-9 * noise
        assert watch.observe(step, metrics) == []
        assert watch.good


def test_a_wasserstein_critic_may_rank_all_pairs_correctly():
    assert play(Watch(QUICK), 100, discriminator__accuracy=1.0, discriminator__loss=-40.0) == []


def test_a_first_gradient_after_none_is_no_explosion():
    watch = Watch(QUICK)
    assert play(watch, 1, generator__grad_norm=0.0) + play(watch, 3, 1, generator__grad_norm=50.0) == []


@pytest.mark.parametrize(
    ("kind", "changes", "field"),
    [
        (
            "discriminator_wins",
            {"discriminator__accuracy": 1.0, "discriminator__loss": 1e-4},
            "config.task.adversary.penalties",
        ),
        (
            "discriminator_loses",
            {"discriminator__accuracy": 0.1},
            "config.optimizers.discriminator.learning_rate",
        ),
        ("vanishing_gradients", {"generator__grad_norm": 1e-9}, "config.task.adversary.loss"),
        ("vanishing_gradients", {"discriminator__grad_norm": 0.0}, "config.task.adversary.loss"),
    ],
)
def test_a_lasting_condition_raises_one_alarm_with_advice(kind, changes, field):
    watch = Watch(QUICK, {"discriminator": UNKNOWN})
    play(watch, 20)
    assert play(watch, 9, 20, **changes) == []
    alarms = play(watch, 50, 29, **changes)
    assert kinds(alarms) == [(kind, False)]
    assert field in alarms[0].advice
    assert "\n" not in alarms[0].message + alarms[0].advice


def test_an_alarm_is_armed_again_after_its_condition_has_cleared():
    watch, vanished = Watch(QUICK), {"generator__grad_norm": 0.0}
    assert len(play(watch, 20, **vanished)) == 1
    assert play(watch, 5, 20) + play(watch, 20, 25, **vanished) == [], "a short break ends no episode"
    assert play(watch, 12, 45) == []
    assert len(play(watch, 20, 57, **vanished)) == 1


def test_separate_accuracies_count_as_their_mean():
    """Being right on reals and fakes is winning; calling everything real is neither winning nor losing."""
    without = {name: value for name, value in HEALTHY.items() if name != "discriminator/accuracy"}
    without["discriminator/loss"] = 0.0
    for real, fake, expected in (
        (1.0, 1.0, ["discriminator_wins"]),
        (1.0, 0.0, []),
        (0.1, 0.0, ["discriminator_loses"]),
    ):
        watch = Watch(QUICK)
        metrics = without | {"discriminator/real_accuracy": real, "discriminator/fake_accuracy": fake}
        alarms = [alarm for step in range(20) for alarm in watch.observe(step, metrics)]
        assert [alarm.kind for alarm in alarms] == expected


@pytest.mark.parametrize("accuracy", [1.0, 0.0])
def test_a_saturated_game_whose_generator_gets_no_gradient_is_lost(accuracy):
    watch = Watch(QUICK)
    play(watch, 20)
    alarms = play(watch, 60, 20, discriminator__accuracy=accuracy, generator__grad_norm=0.0)
    fatal = [alarm for alarm in alarms if alarm.fatal]
    assert [alarm.kind for alarm in fatal] == ["discriminator_wins" if accuracy else "discriminator_loses"]
    assert "lost" in fatal[0].message


def test_a_game_in_which_nobody_gets_a_gradient_is_lost():
    alarms = play(Watch(QUICK), 20, discriminator__grad_norm=0.0, generator__grad_norm=0.0)
    assert [alarm.kind for alarm in alarms if alarm.fatal] == ["vanishing_gradients"]


def test_while_a_game_is_being_lost_no_save_is_good():
    watch = Watch(QUICK)
    assert play(watch, 5, discriminator__accuracy=1.0, generator__grad_norm=0.0) == []
    assert not watch.good


def test_a_skipped_round_warns_and_too_many_are_fatal():
    watch = Watch(QUICK)
    assert watch.good
    play(watch, 3)
    alarms = [a for n in range(1, 5) for a in watch.observe(2 + n, row(generator__loss=math.nan, skipped_in_a_row=n))]
    assert kinds(alarms) == [("nonfinite", False)]
    assert "generator" in alarms[0].message
    assert "config.optimizers.generator.learning_rate" in alarms[0].advice
    alarms = watch.observe(7, row(generator__loss=math.nan, skipped_in_a_row=5))
    assert kinds(alarms) == [("nonfinite", True)]


def test_too_many_skipped_before_the_watch_began_are_seen_at_once():
    assert ("nonfinite", True) in kinds(Watch(QUICK).observe(100, row(skipped_in_a_row=30.0)))


def test_exploding_gradients_warn_at_once_and_are_fatal_if_they_last():
    watch = Watch(QUICK)
    play(watch, 20)
    spike = play(watch, 1, 20, discriminator__grad_norm=1e6)
    assert kinds(spike) == [("exploding_gradients", False)]
    assert "config.optimizers.discriminator.learning_rate" in spike[0].advice
    assert play(watch, 10, 21) == []
    assert kinds(play(watch, 10, 31, discriminator__grad_norm=1e6)) == [
        ("exploding_gradients", False),
        ("exploding_gradients", True),
    ]


def test_an_absurd_learning_rate_is_seen_from_the_second_round():
    """Exploded and skipped rounds in alternation all count as lost."""
    watch = Watch(QUICK)
    alarms = watch.observe(0, HEALTHY)
    for step in range(1, 6):
        odd = step % 2
        alarms += watch.observe(
            step, row(discriminator__grad_norm=1e9 if odd else math.inf, skipped_in_a_row=float(not odd))
        )
    assert [alarm.fatal for alarm in alarms] == [False, False, True]


def test_gradients_of_a_lazy_penalty_may_explode_but_not_vanish():
    watch = Watch(QUICK, phases=PHASES)
    for step in range(50):
        extra = {"discriminator_r1/grad_norm": 1e-12} if step % 4 == 0 else {}
        assert watch.observe(step, HEALTHY | extra) == []
    alarms = watch.observe(50, HEALTHY | {"discriminator_r1/grad_norm": 1e12})
    assert kinds(alarms) == [("exploding_gradients", False)]
    assert "config.optimizers.discriminator." in alarms[0].advice


def test_advice_names_the_player_of_a_phase_and_its_network():
    phases = (Phase("clips", "critic", None), Phase("content", "writer", None))
    players = {"critic": ("frames", "motion"), "writer": ("generator",)}
    normal = {"critic": normal_range({"loss": "adversarial.hinge"})._replace(path="config.task.of_clips")}
    watch = Watch(QUICK, normal, phases=phases, players=players)
    healthy = {"clips/accuracy": 0.8, "clips/grad_norm": 1.0, "content/grad_norm": 1.0, "skipped_in_a_row": 0.0}
    assert [alarm for step in range(20) for alarm in watch.observe(step, healthy)] == []
    (alarm,) = watch.observe(20, healthy | {"content/grad_norm": 1e6})
    assert "exploding gradients of content" in alarm.message
    assert "config.optimizers.writer.learning_rate" in alarm.advice
    alarms = [alarm for step in range(21, 50) for alarm in watch.observe(step, healthy | {"clips/accuracy": 0.1})]
    assert kinds(alarms) == [("discriminator_loses", False)]
    assert "config.optimizers.critic.learning_rate or config.networks.frames.widths" in alarms[0].advice
    assert alarms[0].advice.endswith(", or lower gamma in config.task.of_clips.penalties.")
    (alarm,) = watch.observe_scores(50, {"recall/c": 0.0})
    assert "config.task.of_clips.loss='adversarial.relativistic'" in alarm.advice
    (alarm,) = Watch(QUICK, phases=phases, players=players).observe(0, {"skipped_in_a_row": 1.0})
    assert "config.optimizers.critic." in alarm.advice
    watch = Watch(QUICK, phases=phases, players=players)  # a task whose config has no adversary
    alarms = [alarm for step in range(50) for alarm in watch.observe(step, healthy | {"clips/accuracy": 0.1})]
    assert alarms[0].advice == "Raise config.optimizers.critic.learning_rate or config.networks.frames.widths."


def test_a_condition_lasts_through_rounds_in_which_its_phase_is_not_due():
    watch, alarms = Watch(QUICK), []
    for step in range(30):
        due = step % 5 == 4
        metrics = {k: v for k, v in HEALTHY.items() if due or not k.startswith("generator/")}
        alarms += watch.observe(step, metrics | ({"generator/grad_norm": 0.0} if due else {}))
    assert kinds(alarms) == [("vanishing_gradients", False)]


@pytest.mark.parametrize("score", ["recall/classifier", "diversity/classifier"])
def test_samples_without_variety_are_mode_collapse(score):
    watch = Watch(WatchConfig())
    varied = {"frechet/classifier": 3.0, "recall/classifier": 0.6, "diversity/classifier": 0.9}
    assert watch.observe_scores(100, varied) == []
    alarms = watch.observe_scores(200, varied | {score: 0.01})
    assert kinds(alarms) == [("mode_collapse", False)]
    assert score in alarms[0].message
    assert not watch.good
    assert watch.observe_scores(300, varied | {score: 0.01}) == [], "one episode, one alarm"
    assert watch.observe_scores(400, varied) == []
    assert len(watch.observe_scores(500, varied | {score: 0.01})) == 1


@pytest.mark.parametrize("score", ["motion/thumbnails", "NAME/motion_diversity/thumbnails"])
def test_clips_that_stand_still_or_move_alike_are_motion_collapse(score):
    watch = Watch(WatchConfig())
    lively = {"recall/x": 0.6, "motion/thumbnails": 2.0, "NAME/motion_diversity/thumbnails": 2.0}
    assert watch.observe_scores(100, lively) == []
    assert watch.observe_scores(200, lively | {score: 0.9}) == [], "less than before, but enough"
    alarms = watch.observe_scores(300, lively | {score: 0.1})
    assert kinds(alarms) == [("motion_collapse", False)]
    assert f"{score} is 0.1" in alarms[0].message
    assert "frames_seen" in alarms[0].advice
    assert watch.observe_scores(400, lively | {score: 0.1}) == [], "one episode, one alarm"


def test_scores_that_do_not_measure_variety_are_ignored():
    watch = Watch(WatchConfig())
    assert watch.observe_scores(1, {"frechet/x": 1e9, "recall/x": math.nan}) == []


def test_good_means_no_alarm_since_the_last_save():
    watch = Watch(QUICK)
    play(watch, 20, discriminator__accuracy=0.0)
    assert not watch.good
    watch.mark_saved()
    assert watch.good


def test_while_rounds_are_lost_no_save_is_good():
    watch = Watch(QUICK)
    play(watch, 1, skipped_in_a_row=1.0)
    watch.mark_saved()
    assert not watch.good
    play(watch, 12, 1)
    assert watch.good


def test_reset_forgets_everything():
    watch = Watch(QUICK)
    play(watch, 9, generator__grad_norm=0.0, discriminator__grad_norm=1e-3, skipped_in_a_row=9.0)
    watch.reset()
    assert watch.good
    assert play(watch, 5, 9, generator__grad_norm=0.0) == []


def test_a_disabled_watch_raises_no_alarm():
    watch = Watch(dataclasses.replace(QUICK, enabled=False))
    assert play(watch, 30, generator__loss=math.nan, skipped_in_a_row=30.0) == []
    assert watch.observe_scores(1, {"recall/x": 0.0}) == []
    assert watch.good


def test_the_penalties_of_a_loss_do_not_hide_that_it_is_finished():
    normal = normal_range({"loss": "adversarial.hinge", "penalties": ({"name": "gradient_penalty.r1"},)})
    won = {"discriminator__accuracy": 1.0, "discriminator__loss": 0.301, "discriminator__r1": 0.3}
    assert [alarm.kind for alarm in play(Watch(QUICK, {"discriminator": normal}), 30, **won)] == ["discriminator_wins"]
    assert play(Watch(QUICK), 30, **won) == []


def test_with_smoothed_labels_a_finished_loss_is_their_entropy():
    normal = normal_range({"loss": "adversarial.minimax", "label_smoothing": 0.1})
    for loss, expected in ((0.330, ["discriminator_wins"]), (0.40, [])):  # the entropy of (0.9, 0.1) is 0.325
        won = {"discriminator__accuracy": 1.0, "discriminator__loss": loss}
        assert [alarm.kind for alarm in play(Watch(QUICK, {"discriminator": normal}), 30, **won)] == expected


def test_logits_diverge_by_the_range_of_their_loss():
    apart = {"discriminator__real_logits": 60.0, "discriminator__fake_logits": -60.0, "discriminator__accuracy": 1.0}
    for loss, expected in (("hinge", ["diverging_logits"]), ("wasserstein", [])):
        alarms = play(Watch(QUICK, {"discriminator": normal_range({"loss": f"adversarial.{loss}"})}), 30, **apart)
        assert [alarm.kind for alarm in alarms] == expected


def test_recall_that_falls_to_half_of_its_best_is_a_collapse():
    watch = Watch(WatchConfig())
    assert watch.observe_scores(100, {"recall/c": 0.6}) == []
    alarms = watch.observe_scores(200, {"recall/c": 0.2})
    assert kinds(alarms) == [("mode_collapse", False)]
    assert "0.6" in alarms[0].message


def test_held_out_images_judged_like_fakes_are_overfitting():
    for held_out, expected in ((0.8, []), (-0.5, [("overfitting", False)])):
        watch = Watch(QUICK)
        # logits from training, of augmented images, cannot be compared with logits of plain images
        play(watch, 20, discriminator__real_logits=9.0, discriminator__fake_logits=7.0)
        scores = {"held_out/train_logits": 1.0, "held_out/real_logits": held_out}
        assert kinds(watch.observe_scores(20, scores)) == []  # nothing to compare with
        assert kinds(watch.observe_scores(21, {**scores, "held_out/fake_logits": -1.0})) == expected


def test_overfitting_is_the_papers_ratio():
    scores = {"held_out/train_logits": 3.0, "held_out/real_logits": 1.5, "held_out/fake_logits": -2.0}
    assert overfitting(scores) == 0.3  # Karras et al. 2020a, eq. 1
    assert overfitting({**scores, "held_out/fake_logits": 3.0}) is None
    assert overfitting({**scores, "held_out/fake_logits": math.nan}) is None
