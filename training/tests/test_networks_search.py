import pytest
from dlloc_training.networks.convnetquake import ConvNetQuakeSettings
from dlloc_training.networks.image_cnn import ImageCNNSettings
from dlloc_training.networks.outputs import ONE_NETWORK
from dlloc_training.networks.registry import NETWORKS, build
from dlloc_training.networks.search_space import suggest
from dlloc_training.networks.shapes import InputShape

from seiscomp_dlloc.errors import SettingError

from . import nets

optuna = pytest.importorskip("optuna")


@pytest.fixture
def study():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))


def test_the_papers_space_is_drawn_from_and_reached_to_its_ends(study):
    drawn = [suggest(study.ask(), ImageCNNSettings) for _ in range(400)]
    assert {s.convolutions for s in drawn} == {1, 2, 3, 4, 5}
    assert {s.kernel for s in drawn} == {3, 5, 7, 9}
    assert {s.dense_layers for s in drawn} == {0, 1, 2, 3}
    assert {s.batch_normalisation for s in drawn} == {True, False}
    assert {flag for s in drawn for flag in s.pooling} == {True, False}
    assert all(50 <= s.nodes <= 1000 for s in drawn if s.dense_layers)
    assert min(s.nodes for s in drawn) < 60
    assert max(s.nodes for s in drawn) > 900
    assert 0.0 <= min(s.dropout for s in drawn) < 0.05 < 0.45 < max(s.dropout for s in drawn) <= 0.5


@pytest.mark.parametrize("name", list(NETWORKS))
def test_whatever_is_drawn_can_be_built(study, name):
    shape = InputShape("snapshots", (4, 8, 8), nets.RATE, ("snapshots",))
    for _ in range(12):
        drawn = suggest(study.ask(), NETWORKS[name].settings, (8, 8), channels=2)
        assert drawn.channels == 2
        made = build(name, drawn, shape, ONE_NETWORK).eval()
        assert made(*shape.example(2)).shape == (2, 5, 2)


def test_a_search_finds_what_the_objective_asks_for():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(lambda trial: abs(suggest(trial, ConvNetQuakeSettings).dropout - 0.3), n_trials=40)
    assert study.best_params["dropout"] == pytest.approx(0.3, abs=0.05)


def test_fixed_settings_are_checked(study):
    with pytest.raises(SettingError, match="outside"):
        suggest(study.ask(), ImageCNNSettings, convolutions=9)
    with pytest.raises(SettingError, match="unknown"):
        suggest(study.ask(), ImageCNNSettings, depth=9)
