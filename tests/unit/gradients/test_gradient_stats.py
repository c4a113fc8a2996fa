"""Statistics of the gradient against the plain formulas, and the table of layers."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from bsmon.core.gradients import LayerHealth, LayerTable
from bsmon.core.records import GradientStats
from bsmon.telemetry import parameters as flatten
from bsmon.telemetry.gradient_stats import GradientStatistics
from bsmon.telemetry.layers import LayerNorms, judge
from bsmon.telemetry.parameters import Sample, pieces

Finite = st.floats(-1e3, 1e3, width=32)


def with_gradients(*gradients: Tensor) -> list[Tensor]:
    made: list[Tensor] = []
    for gradient in gradients:
        parameter = nn.Parameter(torch.ones_like(gradient, dtype=gradient.dtype))
        parameter.grad = gradient
        made.append(parameter)
    return made


def measure(
    parameters: list[Tensor],
    *,
    norm: Tensor | None = None,
    grad_clip: float | None = None,
    update: Callable[[], None] = lambda: None,
    statistics: GradientStatistics | None = None,
) -> GradientStats:
    sample = Sample(parameters)
    statistics = statistics or GradientStatistics(parameters, sample, grad_clip=grad_clip)
    with torch.no_grad():
        statistics.measure(norm)
        before = sample.weights()
        update()
        part = statistics.finish(9, before, sample.weights() - before)
    record = part.decode(part.values.tolist())
    assert isinstance(record, GradientStats)
    return record


@given(st.lists(st.lists(Finite, min_size=1, max_size=30), min_size=1, max_size=5))
def test_they_are_those_of_all_elements_together(rows: list[list[float]]) -> None:
    together = torch.tensor([x for row in rows for x in row], dtype=torch.float64)
    record = measure(with_gradients(*(torch.tensor(row) for row in rows)))
    scale = float(together.abs().max())
    assert record.step == 9
    assert record.norm == pytest.approx(float(together.norm()), rel=1e-5, abs=1e-22)
    assert record.mean_abs == pytest.approx(float(together.abs().mean()), rel=1e-5)
    assert (record.minimum, record.maximum) == (float(together.min()), float(together.max()))
    assert record.nonfinite == 0
    if len(together) == 1:
        assert (record.std, record.snr) == (None, None)
    else:
        # Sums of squares lose the digits of a spread far below the values; gradients spread around zero.
        assert record.std == pytest.approx(float(together.std()), rel=1e-5, abs=max(2e-3 * scale, 1e-22))


def test_the_signal_to_noise_ratio_is_mean_over_std() -> None:
    record = measure(with_gradients(torch.tensor([[3.0, -1.0], [2.0, 0.5]])))
    assert record.mean_abs is not None
    assert record.std is not None
    assert record.snr == pytest.approx(record.mean_abs / record.std)


def test_long_gradients_are_cut_and_short_ones_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = [torch.randn(n) for n in (3, 50, 2, 0, 20, 7)]
    monkeypatch.setattr(flatten, "CPU_PIECE", 20)
    parts = list(pieces(vectors))
    assert max(map(len, parts)) <= 20
    assert torch.equal(torch.cat(parts).sort().values, torch.cat(vectors).sort().values)
    whole = torch.cat(vectors).double()
    record = measure(with_gradients(*vectors))
    assert record.norm == pytest.approx(float(whole.norm()), rel=1e-6)
    assert record.std == pytest.approx(float(whole.std()), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype: torch.dtype) -> None:
    gradient = (torch.randn(300, 20) * 30).to(dtype)
    record = measure(with_gradients(gradient, torch.randn(5)))
    assert record.norm == pytest.approx(float(torch.cat([gradient.double().flatten()]).norm()), rel=1e-3)


def test_channels_last_and_sparse_gradients() -> None:
    conv = torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last)
    sparse = torch.sparse_coo_tensor(torch.tensor([[1, 1, 3]]), torch.ones(3, 2), (6, 2), check_invariants=True)
    record = measure(with_gradients(conv, torch.zeros(6, 2)))
    parameters = with_gradients(conv, torch.zeros(6, 2))
    parameters[1].grad = sparse
    with_sparse = measure(parameters)
    assert record.norm == pytest.approx(float(conv.norm()))
    assert with_sparse.norm == pytest.approx(math.sqrt(float(conv.norm()) ** 2 + 2 * 4 + 2 * 1))
    assert with_sparse.nonfinite == 0


def test_an_all_sparse_gradient_has_zeros_too() -> None:
    parameters = with_gradients(torch.zeros(4))
    parameters[0].grad = torch.sparse_coo_tensor(torch.tensor([[1]]), torch.tensor([5.0]), (4,), check_invariants=True)
    record = measure(parameters)
    assert (record.minimum, record.maximum, record.mean_abs) == (0.0, 5.0, 1.25)


def test_parameters_without_a_gradient_are_left_out_of_norms() -> None:
    parameters = with_gradients(torch.tensor([3.0, 4.0]), torch.zeros(2))
    parameters[1].grad = None
    assert measure(parameters).norm == 5.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_non_finite_elements_are_counted_and_nothing_is_made_up(bad: float) -> None:
    gradient = torch.tensor([1.0, bad, 2.0, bad])
    record = measure(with_gradients(gradient, torch.tensor([1.0])))
    assert record.nonfinite == 2
    assert not math.isfinite(record.norm)
    assert (record.mean_abs, record.std, record.snr) == (None, None, None)


def test_a_known_norm_is_used() -> None:
    assert measure(with_gradients(torch.ones(4)), norm=torch.tensor(2.0)).norm == 2.0


@pytest.mark.parametrize("limit", [0.5, 1.0, 100.0])
def test_the_norm_after_clipping_is_torchs(limit: float) -> None:
    parameters = with_gradients(torch.randn(30), torch.randn(4, 4))
    record = measure(parameters, grad_clip=limit)
    torch.nn.utils.clip_grad_norm_(parameters, limit)
    after = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    assert record.norm_after_clipping == pytest.approx(float(after), rel=1e-5)


def test_weight_norm_and_the_real_update() -> None:
    weights = with_gradients(torch.randn(30), torch.randn(5, 5))
    before = torch.cat([w.detach().flatten() for w in weights]).clone()
    optimizer = torch.optim.AdamW(weights, lr=0.01, weight_decay=0.1)

    def update() -> None:
        optimizer.step()

    record = measure(weights, update=update)
    after = torch.cat([w.detach().flatten() for w in weights])
    assert record.weight_norm == pytest.approx(float(before.norm()))
    assert record.update_ratio == pytest.approx(float((after - before).norm() / before.norm()), rel=1e-4)


def test_the_cosine_is_with_the_gradient_measured_before() -> None:
    parameters = with_gradients(torch.tensor([1.0, 0.0]), torch.tensor([2.0]))
    statistics = GradientStatistics(parameters, Sample(parameters))
    assert measure(parameters, statistics=statistics).cosine is None
    parameters[0].grad = torch.tensor([0.0, 3.0])
    expected = 4 / (math.sqrt(5) * math.sqrt(13))
    assert measure(parameters, statistics=statistics).cosine == pytest.approx(expected)
    parameters[0].grad, parameters[1].grad = torch.zeros(2), torch.zeros(1)
    assert measure(parameters, statistics=statistics).cosine is None


def test_a_sample_of_a_large_model_stands_for_the_whole() -> None:
    torch.manual_seed(0)
    parameters: list[Tensor] = [
        nn.Parameter(torch.randn(512, 300)),
        nn.Parameter(torch.randn(40) * 50),
        nn.Parameter(torch.randn(7, 90)),
    ]
    sample = Sample(parameters, limit=8000)
    taken = sample.weights()
    assert len(taken) < 10_000
    assert sample.sizes[1] == 40
    whole = torch.cat([p.detach().flatten() for p in parameters]).double()
    assert float(taken.double().square().sum()) == pytest.approx(float(whole.square().sum()), rel=0.03)


def layers(parameters: list[Tensor], names: list[str], update: Callable[[], None] = lambda: None) -> LayerTable:
    sample = Sample(parameters)
    table = LayerNorms(names, sample)
    with torch.no_grad():
        table.measure()
        before = sample.weights()
        update()
        part = table.finish(4, before, sample.weights() - before)
    record = part.decode(part.values.tolist())
    assert isinstance(record, LayerTable)
    return record


def test_the_table_has_each_parameters_norms() -> None:
    gradient = torch.randn(20, 3)
    parameters = with_gradients(gradient, torch.randn(7))

    def halve() -> None:
        parameters[1].mul_(0.5)

    rows = {row.name: row for row in layers(parameters, ["a", "b"], halve).layers}
    norm = float(gradient.norm())
    assert rows["a"].grad_norm == pytest.approx(norm)
    assert rows["a"].rms == pytest.approx(norm / math.sqrt(60))
    assert rows["a"].update_ratio == 0.0
    assert rows["b"].update_ratio == pytest.approx(0.5)
    assert rows["b"].weight_norm == pytest.approx(math.sqrt(7))
    assert {row.health for row in rows.values()} == {LayerHealth.NORMAL}
    spread = rows["a"].spread
    assert spread is not None
    expected = (gradient.abs().mean() / gradient.std(), gradient.abs().mean(), gradient.std())
    assert (spread.snr, spread.mean_abs, spread.std) == pytest.approx(tuple(map(float, expected)), rel=1e-5)
    assert (spread.minimum, spread.maximum) == (float(gradient.min()), float(gradient.max()))


def test_what_a_sparse_gradient_does_not_store_is_zero() -> None:
    embedding = torch.nn.Embedding(9, 3, sparse=True)
    embedding(torch.tensor([1, 4])).sum().backward()
    spread = layers([embedding.weight], ["a"]).layers[0].spread
    assert spread is not None
    whole = torch.zeros(9, 3)
    whole[[1, 4]] = 1.0
    assert (spread.minimum, spread.maximum) == (0.0, 1.0)
    assert (spread.mean_abs, spread.std) == pytest.approx((6 / 27, float(whole.std())))


def test_what_stands_out_comes_first_and_is_marked() -> None:
    expected = {
        "one": (torch.ones(9), "normal"),
        "two": (torch.full((4,), 2.0), "normal"),
        "tiny": (torch.full((5,), 1e-5), "vanishing"),
        "huge": (torch.full((5,), 1e5), "exploding"),
        "nan": (torch.tensor([math.nan]), "non-finite"),
        "zero": (torch.zeros(3), "vanishing"),
        "absent": (torch.ones(2), "absent"),
    }
    parameters = with_gradients(*(gradient for gradient, _ in expected.values()))
    parameters[-1].grad = None
    rows = layers(parameters, list(expected)).layers
    assert [row.name for row in rows[:2]] == ["nan", "zero"]
    assert (rows[-1].name, rows[-1].grad_norm, rows[-1].rms, rows[-1].spread) == ("absent", None, None, None)
    assert {row.name: row.health.value for row in rows} == {name: health for name, (_, health) in expected.items()}


@given(st.floats(1e-20, 1e20), st.floats(1e-20, 1e20), st.floats(1e-3, 1e3))
def test_marks_do_not_depend_on_the_scale_of_the_loss(rms: float, usual: float, scale: float) -> None:
    ratio = rms / usual
    if min(abs(ratio / 1e-3 - 1), abs(ratio / 1e3 - 1)) > 1e-9:
        assert judge(rms * scale, usual * scale) == judge(rms, usual)
