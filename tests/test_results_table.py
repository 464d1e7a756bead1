"""The tables that long results are shown in."""

import pytest

from benchmarks.results import EXPERIMENTS, _table


@pytest.mark.quick
def test_clips_stand_beside_all_methods_and_their_originals():
    values = {
        "psnr": 24.5,
        "psnr_y": 26.0,
        "ssim": 0.75,
        "swd": 30.0,
        "tof": 0.25,
        "warping_error": 0.5,
        "flicker": 1.5,
    }
    scores = {f"films/{name}/bicubic_x4": value for name, value in values.items()}
    scores |= {f"films/{name}_std/bicubic_x4": value / 10 for name, value in values.items() if name != "swd"}
    scores |= {f"films/{name}_temporal_mean/bicubic_x4": 2 * value for name, value in values.items()}
    scores |= {"films/flicker_original/bicubic_x4": 1.0, "films/flicker_original_std/bicubic_x4": 0.5}
    record = {"config": "vsr_clips", "seed": 0, "images": 168_000, "scores": scores}
    told, _, head, _, *rows = _table(next(iter(EXPERIMENTS.values())), [record]).splitlines()
    assert told == "Held-out films, bicubic_x4."
    assert head.split(" | ")[-3:] == ["tOF, pixels", "warping error / 1000", "flicker, levels |"]
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    ours = "24.50 ± 2.45, 26.00 ± 2.60, 0.750 ± 0.075, 30.00, 0.250 ± 0.025, 0.500 ± 0.050, 1.50 ± 0.15"
    assert cells == [
        ["vsr_clips, seed 0", "168,000", *ours.split(", ")],
        ["original", *[""] * 7, "1.00 ± 0.50"],
        ["temporal mean", "", "49.00", "52.00", "1.500", "60.00", "0.500", "1.000", "3.00"],
    ]


@pytest.mark.quick
def test_each_evaluator_has_a_table():
    scores = {f"{film}/{name}/gaussian_25": 25.0 for film in ("carphone", "bikes") for name in ("psnr", "swd")}
    record = {"config": "vdenoise_clips", "seed": 0, "images": 1, "scores": scores}
    told = _table(EXPERIMENTS["video_denoising"], [record])
    assert [line for line in told.splitlines() if "Held-out" in line] == [
        "Held-out carphone, gaussian_25.",
        "Held-out bikes, gaussian_25.",
    ]


@pytest.mark.quick
def test_generated_clips_stand_with_their_last_frames_and_beside_controls():
    records = [
        {
            "config": "video_digits",
            "seed": seed,
            "images": 480_000,
            "scores": {
                "clips/frechet/classifier-1": 3.0 + seed,
                "motion/straight/motion": 0.5,
                "last/clips/frechet/classifier-1": 4.0 + seed,
                "last/motion/straight/motion": 0.25,
            },
            "controls": {"real": {"clips/frechet/classifier-1": 0.5, "motion/straight/motion": 1.0}},
        }
        for seed in (0, 1)
    ]
    told, _, head, _, *rows = _table(EXPERIMENTS["video_digits"], records).splitlines()
    assert told == "Features: classifier-1, motion."
    assert head == "| config | images | seeds | clips/frechet | motion/straight |"
    assert rows == [
        "| video_digits | 480,000 | 2 | 3.500 (3.000, 4.000) | 0.500 (0.500, 0.500) |",
        "| video_digits, the last frames | 480,000 | 2 | 4.500 (4.000, 5.000) | 0.250 (0.250, 0.250) |",
        "| real | | | 0.500 | 1.000 |",
    ]
