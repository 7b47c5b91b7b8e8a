"""Domain-adaptive Faster R-CNN: its three terms by hand, and what each of them moves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit

from dalib.checks.dense_world import attached, batches
from dalib.core.registry import ALGORITHMS

DAFaster = ALGORITHMS.get("da_faster")


def given(**hparams):
    algorithm = attached(DAFaster, **hparams).eval()  # dropout would draw
    return algorithm, *batches(algorithm, (3, 2))


def test_the_three_terms_are_the_formulas():
    algorithm, source, target = given(weight=0.5, regions=6)
    terms = {name: term.detach() for name, term in algorithm.adapt(source, target, 0.3).items()}
    sides = [rows.prediction for rows in (source, target)]
    image, region, p_image, p_region = [], [], [], []
    for seen in sides:
        maps = [algorithm.of_positions(f).detach().double().numpy() for f in seen.maps]
        image.append(np.concatenate([m.ravel() for m in maps]))
        p_image.append([[expit(m[i]).mean() for m in maps] for i in range(len(seen))])
        boxes = [found[:6] for found in seen.propose()]
        e = [algorithm.of_regions(seen[i : i + 1].describe([b])).detach().double().numpy() for i, b in enumerate(boxes)]
        region.append(np.concatenate(e))
        p_region.append([expit(v) for v in e])
    for name, (s, t) in (("image", image), ("region", region)):
        expected = (-np.log(expit(s)).mean() - np.log(expit(-t)).mean()) / 2
        assert float(terms[name]) == pytest.approx(0.5 * expected, rel=1e-4)
    apart = [
        abs(p - v)
        for of_maps, of_regions in zip(p_image, p_region, strict=True)
        for levels, mine in zip(of_maps, of_regions, strict=True)
        for v in mine
        for p in levels
    ]
    assert float(terms["consistency"]) == pytest.approx(0.5 * np.mean(apart), rel=1e-4)


def test_the_network_is_moved_against_the_discriminators_and_for_their_consistency():
    algorithm, source, target = given()
    with torch.no_grad():
        for p in algorithm.of_positions.parameters():
            p.add_(0.3 * torch.randn_like(p))
    terms, f = algorithm.adapt(source, target, 0.0), source.prediction.maps[0]
    (reversed_,) = torch.autograd.grad(terms["image"], f, retain_graph=True)
    d = torch.cat([algorithm.of_positions(m).flatten() for m in source.prediction.maps])
    plain = algorithm.weight * torch.nn.functional.softplus(-d).mean() / 2
    (own,) = torch.autograd.grad(plain, f)
    torch.testing.assert_close(reversed_, -own, rtol=1e-3, atol=1e-9)
    for name, part in (("image", algorithm.of_positions), ("region", algorithm.of_regions)):
        gradients = torch.autograd.grad(terms[name], list(part.parameters()), retain_graph=True)
        assert any(g.any() for g in gradients)


@pytest.mark.parametrize("side", [0, 1])
def test_regions_are_moved_against_their_discriminator_and_places_and_regions_towards_agreement(side):
    """Gradients on the maps of either domain, by plain losses of that domain's pictures alone."""
    algorithm, source, target = given(regions=6)
    with torch.no_grad():
        for p in (*algorithm.of_positions.parameters(), *algorithm.of_regions.parameters()):
            p.add_(0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
    terms = algorithm.adapt(source, target, 0.0)
    both = [rows.prediction for rows in (source, target)]
    boxes = [[found[:6] for found in seen.propose()] for seen in both]
    seen, mine = both[side], boxes[side]
    v = seen.describe(mine)
    plain = torch.nn.functional.softplus((-1, 1)[side] * algorithm.of_regions(v)).mean() / 2
    p_maps = torch.stack([algorithm.of_positions(f).sigmoid().mean((1, 2)) for f in seen.maps])
    p_regions = algorithm.of_regions(v).sigmoid().split([len(b) for b in mine])
    gaps = sum((p_maps[:, i, None] - p).abs().sum() for i, p in enumerate(p_regions))
    apart = gaps / (len(seen.maps) * sum(len(b) for found in boxes for b in found))
    for name, expected in (("region", -plain), ("consistency", apart)):
        found = torch.autograd.grad(terms[name], seen.maps, retain_graph=True)
        wanted = torch.autograd.grad(algorithm.weight * expected, seen.maps, retain_graph=True)
        assert all(g.any() for g in wanted[:1])
        for f, w in zip(found, wanted, strict=True):
            torch.testing.assert_close(f, w, rtol=1e-3, atol=1e-8)


def test_as_many_regions_are_looked_at_as_are_asked_for():
    algorithm, source, target = given(regions=2)
    seen: list[int] = []
    algorithm.of_regions.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    algorithm.adapt(source, target, 0.0)
    assert set(seen) == {2 * 5}
