"""The weight of the person's choice: found, refused with a reason, followed over time."""

from __future__ import annotations

from statistics import fmean, stdev

import pytest
import torch
from torch import Tensor, nn

from bsmon.core.errors import BadInput
from bsmon.core.gradients import ProbedWeight
from bsmon.telemetry.weight_probe import WINDOW, WeightProbe, parse


def parameters() -> dict[str, Tensor]:
    model = nn.ModuleDict({"fc1": nn.Linear(4, 6), "out": nn.Linear(6, 2)})
    return {**dict(model.named_parameters()), "scale": nn.Parameter(torch.ones(()))}


def test_a_weight_is_found() -> None:
    assert parse("fc1.weight[5, 3]", parameters(), where="k") == ("fc1.weight", (5, 3))
    assert parse("out.bias[1]", parameters(), where="k") == ("out.bias", (1,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fc1.weigth[5,3]", 'did you mean "fc1.weight"'),
        ("fc1.weight[6,3]", 'its last element is "fc1.weight[5,3]"'),
        ("fc1.weight[5]", "shape 6x4"),
        ("out.bias[0,0]", 'its last element is "out.bias[1]"'),
        ("scale[0]", "has no index"),
        ("fc1.weight", 'like "fc1.weight[50,30]"'),
        ("fc1.weight[-1,0]", 'like "fc1.weight[50,30]"'),
        ("fc1.weight[999999999999999999999,0]", "shape 6x4"),
        ("zzz[0]", "choose from"),
    ],
)
def test_a_wrong_weight_is_refused_with_what_would_do(text: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        WeightProbe(text, parameters())
    assert str(caught.value).startswith(f'[telemetry] probe_weight = "{text}"')
    assert message in str(caught.value)


def test_escape_codes_do_not_come_back() -> None:
    with pytest.raises(BadInput) as caught:
        WeightProbe("\x1b[2Jevil[0]", parameters())
    assert str(caught.value).isprintable()


def follow(probe: WeightProbe, parameter: Tensor, gradients: list[float]) -> ProbedWeight:
    record = None
    for step, gradient in enumerate(gradients, 1):
        parameter.grad = torch.zeros_like(parameter)
        parameter.grad[1, 2] = gradient
        part = probe.measure(step)
        record = part.decode(part.values.tolist())
    assert isinstance(record, ProbedWeight)
    return record


def test_statistics_over_time_are_those_of_the_last_steps() -> None:
    known = parameters()
    gradients = [((i * 37) % 101) / 50 - 0.7 for i in range(WINDOW + 30)]
    record = follow(WeightProbe("fc1.weight[1,2]", known), known["fc1.weight"], gradients)
    last = [float(torch.tensor(g)) for g in gradients[-WINDOW:]]
    assert record.value == pytest.approx(known["fc1.weight"][1, 2].item())
    assert (record.window, record.gradient) == (WINDOW, last[-1])
    assert record.mean == pytest.approx(fmean(last))
    assert record.std == pytest.approx(stdev(last))
    assert (record.minimum, record.maximum) == (min(last), max(last))
    assert record.snr == pytest.approx(abs(fmean(last)) / stdev(last))


def test_a_new_batch_size_starts_the_statistics_anew() -> None:
    known = parameters()
    probe = WeightProbe("fc1.weight[1,2]", known)
    follow(probe, known["fc1.weight"], [1.0, 2.0])
    probe.restart()
    record = follow(probe, known["fc1.weight"], [3.0])
    assert (record.window, record.mean, record.std, record.snr) == (1, 3.0, None, None)


@pytest.mark.parametrize("gradient", [None, float("nan")])
def test_no_usable_gradient_gives_no_record(gradient: float | None) -> None:
    known = parameters()
    weight = known["fc1.weight"]
    weight.grad = None if gradient is None else torch.full_like(weight, gradient)
    part = WeightProbe("fc1.weight[1,2]", known).measure(1)
    assert part.decode(part.values.tolist()) is None
