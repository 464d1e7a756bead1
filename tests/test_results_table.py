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
    assert told == "Held-out clips, bicubic_x4."
    assert head.split(" | ")[-3:] == ["tOF, pixels", "warping error / 1000", "flicker, levels |"]
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    ours = "24.50 ± 2.45, 26.00 ± 2.60, 0.750 ± 0.075, 30.00, 0.250 ± 0.025, 0.500 ± 0.050, 1.50 ± 0.15"
    assert cells == [
        ["vsr_clips, seed 0", "168,000", *ours.split(", ")],
        ["original", *[""] * 7, "1.00 ± 0.50"],
        ["temporal mean", "", "49.00", "52.00", "1.500", "60.00", "0.500", "1.000", "3.00"],
    ]
