import numpy as np
import pytest
import torch
from dlloc_training.experiment import OKLAHOMA_FULL_GRID
from dlloc_training.fcn import FCN, IMAGE, LabelImage
from dlloc_training.fit import Axes, FullModule
from dlloc_training.frontend import CHANNELS, FrontEnd
from dlloc_training.runs import load_network
from dlloc_training.slim import Density, SlimFCN, SlimSettings
from torch import nn

from . import toy


def slim(**sizes) -> SlimFCN:
    torch.manual_seed(0)
    return SlimFCN(
        SlimSettings(
            toy.STATIONS, toy.SAMPLES, toy.RATE, toy.GRID.shape, width=4, mixed=16, hidden=24, decoder=8, **sizes
        )
    ).eval()


def test_the_full_network_has_the_papers_shape():
    network = FCN(width=64)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 21
    assert sum(isinstance(m, nn.Dropout) for m in network.modules()) == 2
    assert max(m.out_channels for m in convolutions) == 1024
    thin = LabelImage(FCN(width=2)).eval()
    with torch.no_grad():
        image = thin(torch.randn(1, 3, 30, 2048))
    assert image.shape == (1, *IMAGE)
    assert 0.0 <= image.min() <= image.max() <= 1.0


def test_the_slim_image_is_a_probability():
    with torch.no_grad():
        image = Density(slim())(torch.randn(3, 3, toy.STATIONS, toy.SAMPLES))
    assert image.shape == (3, *toy.GRID.shape)
    assert torch.allclose(image.sum((1, 2, 3)), torch.ones(3), atol=1e-5)


def test_the_exported_image_is_the_geometric_mean_over_shifted_windows():
    network = slim()
    x = torch.randn(2, 3, toy.STATIONS, toy.SAMPLES)
    later, earlier = torch.zeros_like(x), torch.zeros_like(x)
    later[..., 20:], earlier[..., :-20] = x[..., :-20], x[..., 20:]
    with torch.no_grad():
        image = Density(network, (1.0,))(x)
        mean = (network(x) + network(later) + network(earlier)) / 3
        expected = torch.softmax(mean.flatten(1), 1).reshape(mean.shape)
        alone = Density(network, ())(x)
    assert torch.allclose(image, expected, atol=1e-7)
    assert torch.allclose(alone, network(x).exp(), atol=1e-6)


def test_the_slim_network_does_not_see_the_unit():
    """Standardised logarithms: an event a hundred times stronger, noise and all, gives the same image."""
    x = torch.randn(1, 3, toy.STATIONS, toy.SAMPLES)
    with torch.no_grad():
        one, two = slim()(x), slim()(100.0 * x)
    assert torch.allclose(one, two, atol=1e-3)


def test_a_batch_gives_what_single_events_give():
    network = slim()
    x = torch.randn(4, 3, toy.STATIONS, toy.SAMPLES)
    with torch.no_grad():
        together, alone = network(x), torch.cat([network(x[k : k + 1]) for k in range(4)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_the_front_end_ignores_what_was_not_observed():
    front = FrontEnd(toy.RATE)
    x = torch.randn(1, 3, toy.STATIONS, toy.SAMPLES)
    x[..., :300] = 0.0
    x[:, :, 2] = 0.0
    out = front(x)
    assert out.shape == (1, CHANNELS, toy.STATIONS, toy.SAMPLES // 2)
    assert not out[..., :149].any()
    assert not out[:, :, 2].any()
    assert torch.isfinite(out).all()
    # Level and standardisation rest on the observed part alone
    whole = front(torch.where(x == 0, torch.zeros_like(x), x))
    assert torch.equal(out, whole)


def test_the_front_end_shows_an_onset_within_a_tenth_of_a_second():
    x = 1e-2 * torch.randn(1, 3, 1, toy.SAMPLES)
    x[..., 600:] *= 10.0
    ratio = FrontEnd(toy.RATE)(x)[0, 2, 0]
    assert abs(int(ratio.argmax()) * 2 - 600) <= 4


@pytest.mark.parametrize("sizes", [{"image": (3, 8, 9)}, {"samples": 1000}])
def test_sizes_that_do_not_fit_are_refused(sizes):
    settings = {"stations": 5, "samples": 1024, "sampling_rate_hz": 20.0, "image": (3, 8, 8)} | sizes
    with pytest.raises(ValueError, match="multiple"):
        SlimFCN(SlimSettings(**settings))


def test_labels_are_gaussians_and_probabilities():
    axes = Axes(toy.GRID)
    nan = float("nan")
    points = torch.tensor([[[5.0, -15.0, 5.0], [nan] * 3], [[nan] * 3, [nan] * 3], [[-25.0, 5, 5], [25.0, 5, 5]]])
    label = axes.gaussians(points, 6.0, 3.0)
    assert label.shape == (3, 2, *toy.GRID.shape)
    assert float(label[0, 0].max()) == pytest.approx(1.0)
    assert not label[1].any()
    density = axes.density(points, 6.0, 3.0)
    assert torch.allclose(density.sum((1, 2, 3)), torch.ones(3), atol=1e-5)
    assert torch.allclose(density[1], torch.full_like(density[1], 1.0 / axes.nodes))
    halves = density[2].sum((0, 1))
    assert float(halves[:4].sum()) == pytest.approx(0.5, abs=1e-3)
    flat = density[0].sum((0, 1)) @ torch.tensor(toy.GRID.x_km, dtype=torch.float32)
    assert float(flat) == pytest.approx(5.0, abs=0.5)


def test_the_full_network_learns_a_label():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, int(np.prod(toy.GRID.shape))), nn.Unflatten(1, toy.GRID.shape))
    module = FullModule(network, toy.GRID, learning_rate=0.05)
    module.log = lambda *_, **__: None  # no trainer here
    batch = [torch.ones(2, 12), torch.tensor([[[5.0, 5.0, 5.0], [float("nan")] * 3]] * 2)]
    optimizer = module.configure_optimizers()
    losses = []
    for _ in range(60):
        loss = module.training_step(batch, 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.6 * losses[0]


def test_a_checkpoint_of_the_full_network_becomes_a_label_image(tmp_path):
    network = FCN(width=2)
    assert OKLAHOMA_FULL_GRID.shape == IMAGE
    module = FullModule(network, OKLAHOMA_FULL_GRID)
    torch.save({"state_dict": module.state_dict()}, tmp_path / "last.ckpt")
    kept = load_network(tmp_path / "last.ckpt")
    assert kept.kind.measure == "label"
    x = torch.randn(1, 3, 30, 2048)
    with torch.no_grad():
        assert torch.equal(kept.network(x), torch.sigmoid(network.eval()(x)))
