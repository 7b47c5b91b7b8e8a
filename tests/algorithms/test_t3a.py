"""T3A: Test-time template adjuster."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

import dalib
from dalib.core.types import Outputs
from dalib.nn.templates import adjust_templates
from tests.support.algorithms import check_refusal
from tests.support.phases import (
    check_it_does_no_harm_without_a_shift,
    make_task,
    reached,
    source_only,
    train,
)
from tests.support.shifts import translated


def test_predictions_are_products_with_the_templates_of_the_whole_target() -> None:
    task = make_task(translated())
    fitted = train(dalib.T3A(supports=7), task, steps=40)
    head, z = fitted.algorithm.network.head, fitted.outputs(task.target).z
    expected = adjust_templates(head.weight.detach(), head.bias.detach(), z, 7)
    torch.testing.assert_close(fitted.algorithm.templates, expected)
    torch.testing.assert_close(fitted.outputs(task.test).logits, z @ expected.T)


def test_training_is_source_only_to_the_last_bit() -> None:
    task = make_task(translated())
    plain, adjusted = train("SourceOnly", task, steps=40), train("T3A", task, steps=40)
    states = plain.algorithm.network.state_dict(), adjusted.algorithm.network.state_dict()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert plain.curve == adjusted.curve


def test_a_row_gets_the_same_answer_whatever_lies_beside_it() -> None:
    task = make_task(translated())
    fitted = train("T3A", task, steps=40)
    whole: Outputs = fitted.outputs(task.test)
    part = fitted.outputs(replace(task.test.take(np.arange(5), "few"), y=None))
    torch.testing.assert_close(part.logits, whole.logits[:5])


def test_it_loses_nothing_to_source_only_on_a_moved_target() -> None:
    task = make_task(translated())
    assert reached(train("T3A", task), task) > source_only(translated) - 0.02


def test_a_method_does_no_harm_without_a_shift() -> None:
    check_it_does_no_harm_without_a_shift("T3A")


def test_hyper_parameters_out_of_range_name_thing_value_and_remedy() -> None:
    check_refusal("T3A", {"supports": -1}, "t3a.supports = -1")
