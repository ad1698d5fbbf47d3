import numpy as np
import pytest
import torch
from dlloc_training.networks.head import EXTRAS_GAIN
from dlloc_training.networks.losses import LossSettings, gaussian_nll, loss, mse
from dlloc_training.networks.outputs import PARAMETERS, TWO_NETWORKS, Outputs
from dlloc_training.networks.registry import build
from dlloc_training.networks.regression import ParameterVector, join
from dlloc_training.networks.shapes import InputShape
from dlloc_training.networks.sigma_calibration import calibrate, coverage

from seiscomp_dlloc.errors import ModelError, SettingError

from . import nets

QUICK = {"dropout": 0.0}


@pytest.mark.parametrize(
    ("name", "shape", "kind"),
    [(*case, "gaussian") for case in nets.CASES]
    + [("image_cnn", nets.IMAGES, "mse"), ("convnetquake", nets.WAVES, "mse")],
    ids=[*nets.IDS, "image_cnn-mse", "convnetquake-mse"],
)
def test_every_network_learns_eight_random_events_by_heart(name, shape, kind):
    torch.manual_seed(0)
    network = build(name, {**QUICK, "nodes": 64}, shape, Outputs(uncertainty=kind == "gaussian")).train()
    truth, arrays = nets.targets(8), nets.example(shape, 8)
    network.fit_targets(truth)
    wanted = network.standardise(torch.tensor(truth, dtype=torch.float32))
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(200):
        optimizer.zero_grad()
        loss(network(*arrays), wanted, LossSettings(kind)).backward()
        optimizer.step()
    network.eval()
    with torch.no_grad():
        got = network.predict(*arrays).mean.numpy()
    assert np.sqrt(np.mean(((got - truth) / truth.std(0)) ** 2)) < 0.2


def test_a_fresh_network_says_the_training_mean_and_the_training_spread():
    network = nets.network("volume_cnn", nets.IMAGES)
    truth = nets.targets(100)
    with torch.no_grad():
        mean, sigma = network.predict(*nets.example(nets.IMAGES, 16))
    assert np.all(np.abs(mean.numpy() - truth.mean(0)) < 0.5 * truth.std(0))
    assert np.allclose(sigma.numpy(), truth.std(0), rtol=0.5)


def test_standardising_and_its_inverse_agree():
    network = nets.network("image_cnn", nets.IMAGES, TWO_NETWORKS)
    assert network.outputs.names == ("x", "y", "depth", "magnitude", "time")
    truth = torch.tensor(nets.targets(7)[:, [0, 1, 2, 4, 3]], dtype=torch.float32)
    for curve in (False, True):
        z = network.standardise(truth, curve)
        mean, sigma = network.physical(torch.stack([z, torch.zeros_like(z)], -1))
        expected = truth[:, None].expand(-1, nets.FRAMES, -1) if curve else truth
        assert torch.allclose(mean, expected, atol=1e-4)
        assert torch.allclose(sigma, network.scale.expand_as(sigma))


def test_unknown_targets_take_no_part():
    network = nets.network("image_cnn", nets.IMAGES)
    truth = nets.targets(50)
    truth[::2, 4] = np.nan
    network.fit_targets(truth)
    assert float(network.mean[4]) == pytest.approx(truth[1::2, 4].mean(), rel=1e-5)
    estimate = torch.zeros(2, 5, 2, requires_grad=True)
    target = torch.tensor([[1.0, 1.0, 1.0, 1.0, float("nan")], [float("nan")] * 5])
    for settings in (LossSettings(), LossSettings("mse")):
        value = loss(estimate, target, settings)
        assert float(value.detach()) == pytest.approx(0.5 if settings.kind == "gaussian" else 1.0)
        (gradient,) = torch.autograd.grad(value, estimate)
        assert torch.isfinite(gradient).all()
        assert not gradient[1].any()
        assert not gradient[0, 4].any()
    assert float(mse(estimate.detach(), torch.full((2, 5), float("nan")))) == 0.0


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        (np.zeros((4, 5)), "the same x"),
        (np.full((4, 5), np.nan), "no training event has a known x"),
        (np.zeros((4, 3)), "do not hold"),
    ],
)
def test_targets_that_teach_nothing_are_refused(truth, message):
    network = build("image_cnn", {}, nets.IMAGES, Outputs())
    with pytest.raises(SettingError, match=message):
        network.fit_targets(truth)
    with pytest.raises(ModelError, match="fit_targets"):
        ParameterVector(network)


def test_the_curve_ends_at_the_published_estimate_and_sees_one_window_at_a_time():
    for name, settings in (("image_cnn", {}), ("two_stream", {}), ("volume_cnn", {"window_frames": 5})):
        network, arrays = nets.network(name, nets.MASKED, **settings), nets.example(nets.MASKED, 3)
        with torch.no_grad():
            curve, last = network.curve(*arrays), network(*arrays)
            assert curve.shape == (3, nets.FRAMES - network.window + 1, 5, 2)
            assert torch.allclose(curve[:, -1], last, atol=1e-5)
            changed = tuple(a.clone() for a in arrays)
            changed[0][:, : network.window] += 1.0
            moved = network.curve(*changed)
        assert not torch.allclose(moved[:, 0], curve[:, 0], atol=1e-4)
        assert torch.allclose(moved[:, network.window :], curve[:, network.window :], atol=1e-5)


def test_waves_that_come_a_frame_later_move_the_origin_time_by_a_frame_and_nothing_else():
    network = nets.network("volume_cnn", nets.IMAGES, window_frames=5)
    images, log_scale = nets.example(nets.IMAGES, 2)
    later = torch.roll(images, 1, 1)
    with torch.no_grad():
        one, two = (network.physical(network.curve(x, log_scale)) for x in (images, later))
    difference = two.mean[:, 1:] - one.mean[:, :-1]
    expected = torch.zeros(5)
    expected[PARAMETERS.index("time")] = 1.0 / nets.RATE
    assert torch.allclose(difference, expected.expand_as(difference), atol=1e-4)
    assert torch.allclose(two.sigma[:, 1:], one.sigma[:, :-1], rtol=1e-4)


def test_training_on_every_window_standardises_times_of_every_window():
    network = nets.network("image_cnn", nets.IMAGES)
    truth = nets.targets(200)
    network.fit_targets(truth, all_windows=True)
    z = network.standardise(torch.tensor(truth, dtype=torch.float32), curve=True)
    assert torch.allclose(z.mean((0, 1)), torch.zeros(5), atol=1e-4)
    assert torch.allclose(z.flatten(0, 1).std(0, correction=0), torch.ones(5), atol=1e-3)


def test_a_network_that_scales_its_own_window_tells_magnitudes_by_the_amplitude_alone():
    """Motion ten times as strong: the trunk sees the same; its logarithms are 1 higher."""
    shape = InputShape("snapshots", (nets.FRAMES, nets.SIDE, nets.SIDE), nets.RATE, ("snapshots",), "window")
    network = nets.network("volume_cnn", shape, dense_layers=0)
    (images,) = nets.example(shape, 3)
    with torch.no_grad():
        difference = network(10.0 * images) - network(images)
        # Both the largest value and the mean logarithm
        head = EXTRAS_GAIN * network.branches[0].head.last.weight[:, -2:].sum(1).reshape(2, 5)
    assert torch.allclose(difference[..., 0], head[0].expand(3, 5), atol=1e-5)
    assert torch.isfinite(network(torch.zeros_like(images))).all()


def test_networks_trained_apart_are_joined_as_they_are():
    outputs = [Outputs((group,)) for group in TWO_NETWORKS.groups]
    networks = [nets.network("image_cnn", nets.IMAGES, o, channels=4 + 4 * k) for k, o in enumerate(outputs)]
    networks[1].set_temperature(np.array([1.0, 2.0, 3.0]))
    joined, arrays = join(networks).eval(), nets.example(nets.IMAGES, 3)
    with torch.no_grad():
        apart = [network.predict(*arrays) for network in networks]
        together = joined.predict(*arrays)
    assert joined.outputs.names == TWO_NETWORKS.names
    assert torch.allclose(together.mean, torch.cat([e.mean for e in apart], 1))
    assert torch.allclose(together.sigma, torch.cat([e.sigma for e in apart], 1))
    with pytest.raises(SettingError, match="same input"):
        join([networks[0], nets.network("volume_cnn", nets.IMAGES, outputs[1])])


def test_weights_units_and_temperatures_are_restored_with_the_state():
    one, arrays = nets.network("two_stream", nets.IMAGES), nets.example(nets.IMAGES, 2)
    one.set_temperature(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    two = build("two_stream", {}, nets.IMAGES, Outputs()).eval()
    two.load_state_dict(one.state_dict())
    with torch.no_grad():
        assert torch.equal(ParameterVector(one)(*arrays), ParameterVector(two)(*arrays))


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_the_gaussian_loss_recovers_the_scatter_that_the_targets_have(beta):
    """y = 2 x + noise whose sigma is 0.1 left of 0 and 0.5 right of it."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, 4000)
    true_sigma = np.where(x < 0, 0.1, 0.5)
    y = torch.tensor(2 * x + true_sigma * rng.normal(size=x.size), dtype=torch.float32)[:, None]
    inputs = torch.tensor(np.stack([x, x > 0, np.ones_like(x)], 1), dtype=torch.float32)
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(2000):
        optimizer.zero_grad()
        gaussian_nll(model(inputs)[:, None], y, beta).backward()
        optimizer.step()
    with torch.no_grad():
        mean, log_sigma = model(inputs).unbind(1)
    sigma = log_sigma.exp().numpy()
    assert np.median(sigma[x < 0]) == pytest.approx(0.1, rel=0.15)
    assert np.median(sigma[x > 0]) == pytest.approx(0.5, rel=0.15)
    assert np.abs(mean.numpy() - 2 * x).max() < 0.1


def test_beta_keeps_badly_fitted_events_in_play():
    """The pull of an event on the mean: residual / sigma^2 in the likelihood, residual with beta = 1, as in MSE."""
    for beta, pulls in ((0.0, (-1.0, -0.01)), (0.5, (-1.0, -0.1)), (1.0, (-1.0, -1.0))):
        estimate = torch.tensor([[[0.0, 0.0]], [[0.0, np.log(10.0)]]], dtype=torch.float32, requires_grad=True)
        gaussian_nll(estimate, torch.ones(2, 1), beta).backward()
        assert (2 * estimate.grad[:, 0, 0]).tolist() == pytest.approx(pulls, rel=1e-4)


@pytest.mark.parametrize("settings", [{"kind": "huber"}, {"beta": 1.5}])
def test_losses_that_do_not_exist_are_refused(settings):
    with pytest.raises(SettingError, match="loss"):
        LossSettings(**settings)


def test_without_learnt_sigmas_calibration_alone_sets_them():
    network = nets.network("image_cnn", nets.IMAGES, Outputs(uncertainty=False))
    arrays = nets.example(nets.IMAGES, 40)
    truth = nets.targets(40, seed=5)
    with torch.no_grad():
        mean, sigma = network.predict(*arrays)
        assert torch.allclose(sigma, network.scale.expand_as(sigma))
        factors = calibrate(mean.numpy() - truth, sigma.numpy())
        network.set_temperature(factors)
        after = network.predict(*arrays)
    assert torch.equal(after.mean, mean)
    for k in range(5):
        assert coverage(after.mean.numpy() - truth, after.sigma.numpy(), [k], 0.68) == pytest.approx(0.68, abs=0.03)


def test_calibrated_sigmas_cover_new_events_as_they_say():
    rng = np.random.default_rng(2)
    stated = rng.uniform(0.5, 2.0, (4000, 3))
    residuals = stated * np.array([0.3, 1.0, 4.0]) * rng.normal(size=stated.shape)
    held_out, new = slice(0, 2000), slice(2000, 4000)
    factors = calibrate(residuals[held_out], stated[held_out])
    assert factors == pytest.approx([0.3, 1.0, 4.0], rel=0.07)
    for k in range(3):
        for level in (0.68, 0.90):
            assert coverage(residuals[new], factors * stated[new], [k], level) == pytest.approx(level, abs=0.03)
    assert coverage(residuals[new], stated[new], [2], 0.68) < 0.3


def test_parameters_of_one_region_share_a_factor_with_which_the_ellipse_holds():
    """Errors that come together (heavy tails): marginal factors are not enough for the region."""
    rng = np.random.default_rng(3)
    size = np.sqrt(4.0 / rng.chisquare(4, (4000, 1)))
    residuals = 2.0 * size * rng.normal(size=(4000, 2))
    sigmas = np.ones_like(residuals)
    shared = calibrate(residuals, sigmas, groups=[[0, 1]], levels=(0.68, 0.90))
    assert shared[0] == shared[1]
    for level in (0.68, 0.90):
        assert coverage(residuals, shared * sigmas, [0, 1], level) == pytest.approx(level, abs=0.04)


@pytest.mark.parametrize(
    ("residuals", "sigmas", "message"),
    [
        (np.ones((9, 1)), np.ones((9, 1)), "at least 10"),
        (np.zeros((20, 1)), np.ones((20, 1)), "training events"),
        (np.ones((20, 1)), np.zeros((20, 1)), "above 0"),
        (np.ones((20, 1)), np.ones((20, 2)), "must both be"),
    ],
)
def test_calibration_without_evidence_is_refused(residuals, sigmas, message):
    with pytest.raises(SettingError, match=message):
        calibrate(residuals, sigmas)


def test_temperatures_have_to_be_positive():
    network = nets.network("image_cnn", nets.IMAGES)
    for bad in (np.zeros(5), np.ones(4), np.full(5, np.nan)):
        with pytest.raises(SettingError, match="temperatures"):
            network.set_temperature(bad)
