"""What some stage would refuse is refused by the first one."""

from pathlib import Path

import pytest
from dlloc_training.__main__ import main

from seiscomp_dlloc.errors import SettingError

from .tinyrun import TEXT

SEARCH = '[search]\nnetwork = "{}"\ntrials = 2\n'


def synthesized(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, Path]:
    """Exit status of the command, what it said, and its run folder."""
    path, folder = tmp_path / "tiny.toml", tmp_path / "run"
    path.write_text(text)
    status = main(["synthesize", str(path), "-o", str(folder), "-q", "--workers", "1"])
    captured = capsys.readouterr()
    return status, captured.out + captured.err, folder


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("before_s = 12.0\nduration_s = 12.0", "before_s = 1.0\nduration_s = 6.0", "are longer than the records"),
        ("band_hz = [1.0, 8.0]", "band_hz = [1.0, 12.0]", "preprocessing.band_hz: 12 Hz is not below 10 Hz"),
        ("lost = 2", "lost = 6", "augmentation.lost: 6 of 6 stations lost leaves none"),
        ("[networks.", "[networks.wrong]\nnetwork = 'slim'\nsettings = {droput = 0.1}\n[networks.", "droput"),
        ("magnitude = [2.0, 3.5]", "magnitude = [2.0, 2.0]", "events.magnitude: give a range, not 2.0 alone"),
        (
            "magnitude = [2.0, 3.5]",
            "magnitude = [2.0, 3.5]\nstress_drop_mpa = [9.0, 1.0]",
            "events.stress_drop_mpa: 9.0 is above 1.0",
        ),
        ("lost = 2", "lost = 2\nnoise_level = [0.8, 0.3]", "augmentation.noise_level: 0.8 is above 0.3"),
        ("lost = 2", "lost = 2\nrecorded_noise_factor = [3, 2]", "augmentation.recorded_noise_factor: 3 is above 2"),
        ("[evaluation]", SEARCH.format("slim") + "[evaluation]", "search.network: slim has no settings to search"),
        ("[evaluation]", SEARCH.format("other") + "[evaluation]", "there is no network 'other'"),
        (
            "[evaluation]\n",
            '[networks.flat]\nnetwork = "volume_cnn"\noutputs = [["depth", "time"]]\n'
            '[evaluation.robustness]\nnetworks = ["flat"]\n[evaluation]\n',
            "evaluation.robustness.networks: flat gives no x and y",
        ),
    ],
)
def test_synthesize_refuses_what_a_later_stage_would(tmp_path, capsys, old, new, said):
    assert old in TEXT
    status, words, folder = synthesized(tmp_path, TEXT.replace(old, new, 1), capsys)
    assert status == 2
    assert said in words
    assert str(tmp_path / "tiny.toml") in words
    assert not folder.exists()


def test_synthesize_says_what_is_most_likely_not_meant(tmp_path, capsys, monkeypatch):
    def reached(*_: object, **__: object) -> None:
        raise SettingError("the seismograms would be made now")

    monkeypatch.setattr("dlloc_training.experiments.synthesis.run_synthesis", reached)
    text = TEXT.replace("highest_hz = 10.0", "highest_hz = 4.0", 1)
    status, words, _ = synthesized(tmp_path, text, capsys)
    assert status == 2
    assert "records.highest_hz 4 is hardly above the band" in words
    assert "would be made now" in words
