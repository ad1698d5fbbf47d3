"""An experiment with recorded events through all its stages: which events are for what, and what is said of them."""

from pathlib import Path

import numpy as np
import pytest
from dlloc_training.experiments import exporting, stages
from dlloc_training.experiments.computing import Compute
from dlloc_training.experiments.drawing import TRAIN
from dlloc_training.experiments.predictions import Predictions
from dlloc_training.experiments.stages import Run, run_stages

from seiscomp_dlloc.model import load

from . import bursts, tinyrun
from .test_experiment_training import REAL, REAL_TEST, RECORDED

VIRTUAL = 5
TEXT = (
    RECORDED.replace("held_out = 3", f"held_out = 3\nvirtual = {VIRTUAL}")
    + """[networks.retimed]
network = "slim"
settings = {mixed = 16, hidden = 16}
data = "recorded"
virtual = true
"""
)


class Done:
    """The experiment after all its stages."""

    def __init__(self, folder: Path):
        (folder / "events").mkdir()
        self.network = bursts.write_folder(folder / "events", REAL, REAL_TEST)
        self.tiny = tinyrun.made(folder, TEXT)
        self.folder = folder / "run"
        run = Run(self.tiny.experiment, self.folder, Compute("cpu", progress=False), workers=1, say=lambda _: None)
        run_stages(run, ("train", "evaluate", "export"))

    @property
    def places(self) -> np.ndarray:
        """(event, 3) of all recorded events, km in the experiment's frame."""
        places = bursts.places(REAL + REAL_TEST)
        x, y = self.tiny.experiment.region.frame.to_local(*self.network.frame.to_geographic(places[:, 0], places[:, 1]))
        return np.column_stack([x, y, places[:, 2]])

    def predicted(self, name: str, which: str) -> Predictions:
        return Predictions.load(self.folder / "predictions" / name / f"{which}.npz")


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Done:
    with pytest.MonkeyPatch.context() as patch:
        # Figures take longer than all the rest, and have tests of their own
        patch.setattr(stages, "write_report", lambda _, folder: folder / "report.md")
        patch.setattr(exporting, "NOISE_WINDOWS", 20)
        return Done(tmp_path_factory.mktemp("real"))


@pytest.mark.parametrize("name", ["theory", "real", "both", "retimed"])
def test_every_network_is_asked_about_the_recorded_test_and_about_theoretical_events(done, name):
    real = done.predicted(name, "recorded-test")
    assert real.names.tolist() == [f"e{REAL + k}" for k in range(REAL_TEST)]
    np.testing.assert_allclose(real.truth, done.places[REAL:], atol=1e-3)
    assert np.isnan(real.magnitude).all()
    assert set(real.lost.tolist()) == {0}
    held_out = done.predicted(name, "recorded-held-out")
    assert len(held_out) == 3
    assert set(held_out.names) <= {f"e{k}" for k in range(REAL)}
    assert len(done.predicted(name, "test")) > 0


def test_the_nearest_training_event_is_of_the_kind_that_was_trained_on(done):
    events, frame = done.tiny.materials.events, done.tiny.experiment.region.frame
    chosen = events.of(TRAIN)
    x, y = frame.to_local(events.latitude[chosen], events.longitude[chosen])
    theoretical = np.stack([x, y, events.depth_km[chosen]], axis=-1)
    aside = set(done.predicted("real", "recorded-held-out").names)
    recorded = np.array([place for k, place in enumerate(done.places[:REAL]) if f"e{k}" not in aside])
    truths = [record.truth.local(frame) for record in done.tiny.materials.virtual]
    assert len(truths) == VIRTUAL
    wanted = {"theory": theoretical, "real": recorded, "both": np.concatenate([theoretical, recorded])}
    wanted["retimed"] = np.concatenate([recorded, truths])
    places = done.places[REAL:]
    for name, training in wanted.items():
        nearest = [np.linalg.norm(training - place, axis=1).min() for place in places]
        np.testing.assert_allclose(done.predicted(name, "recorded-test").spacing_km, nearest, atol=2e-3)


def test_trivial_baselines_know_both_kinds_of_training_events(done):
    with np.load(done.folder / "predictions" / "training-recorded.npz") as file:
        depths = file["depth"]
    aside = set(done.predicted("real", "recorded-held-out").names)
    wanted = [place[2] for k, place in enumerate(done.places[:REAL]) if f"e{k}" not in aside]
    np.testing.assert_allclose(depths, wanted, atol=1e-3)
    with np.load(done.folder / "predictions" / "training.npz") as file:
        assert len(file["depth"]) == len(done.tiny.materials.events.of(TRAIN))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("theory", "theoretical seismograms"),
        ("real", "recorded events"),
        ("both", "recorded events and theoretical seismograms"),
        ("retimed", "recorded events, and recorded events re-timed to other places"),
    ],
)
def test_models_say_what_they_were_trained_on(done, name, data):
    passport = load(done.folder / "models" / f"recorded-{name}-1.0.0.onnx", provider="cpu").passport
    assert passport.raw["description"].endswith(f"trained on {data}")
    assert passport.raw["provenance"]["data"] == f"{data} of the experiment recorded"
    assert passport.raw["skill"]["sets"]["recorded-test"]["count"] == REAL_TEST
