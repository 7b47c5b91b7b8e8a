"""FDA: the recipe's Fourier swap reaches the network, and the entropy's penalty is the formula's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax

from dalib import TrainConfig, Trainer
from dalib.checks.dense_world import CONFIG, attached, backbone, batches, make_task
from dalib.core.backbone import Preprocess, identity
from dalib.core.errors import DalibError
from dalib.core.registry import ALGORITHMS
from dalib.feed.fourier import take_style
from dalib.nn.fourier import swap_amplitudes

FDA = ALGORITHMS.get("fda")


def test_the_penalty_is_the_charbonnier_function_of_the_entropy():
    algorithm = attached(FDA, weight=0.5, power=1.5)
    source, target = batches(algorithm)
    p = softmax(target.prediction.detach().double().numpy(), axis=1)
    relative = -(p * np.log(p)).sum(1) / np.log(3)
    expected = 0.5 * ((relative**2 + 1e-8) ** 1.5).mean()
    assert float(algorithm.adapt(source, target, 0.0)["entropy"]) == pytest.approx(expected, rel=1e-4)


def test_its_recipe_swaps_amplitudes():
    assert FDA.recipe == {"fourier": 0.01}


def test_prepared_images_are_swapped_as_pixels_each_with_its_partner():
    prepare = Preprocess(8, 8, (0.5, 0.4, 0.3), (0.5, 0.2, 0.1))
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (prepare.mean, prepare.std))
    pixels, other = torch.rand(5, 3, 8, 8), torch.rand(2, 3, 8, 8)
    found = take_style((pixels - mean) / std, (other - mean) / std, prepare, 0.2)
    expected = swap_amplitudes(pixels, other[[0, 1, 0, 1, 0]], 0.2)
    torch.testing.assert_close(found * std + mean, expected, rtol=1e-4, atol=1e-5)


class _Watching(ALGORITHMS.get("source_only")):
    """Keeps the means of the source's batches."""

    seen: tuple[float, ...] = ()

    def loss(self, source, target, progress):
        type(self).seen = (*self.seen, float(source.x.mean()))
        return super().loss(source, target, progress)


@pytest.mark.parametrize("fourier", [0.0, 0.01])
def test_the_network_sees_source_pictures_in_the_target_s_light(fourier):
    """Also for an algorithm that does not use the target; its squares are darker there."""
    _Watching.seen = ()
    config = CONFIG.model_copy(update={"fourier": fourier, "augment": "none"})
    Trainer(config, device="cpu").fit(_Watching(), make_task(), backbone())
    assert (np.mean(_Watching.seen) < -0.3) == bool(fourier), _Watching.seen


def test_features_have_no_frequencies():
    from dalib.checks.world import make_task as rows

    with pytest.raises(DalibError, match=r"train.fourier = 0.1 is for images; leave it out"):
        Trainer(TrainConfig(steps=2, fourier=0.1), device="cpu").fit(ALGORITHMS.get("dann")(), rows(), identity(16))
