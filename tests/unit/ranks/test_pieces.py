"""The pieces that several ranks are made of, each by itself."""

from __future__ import annotations

import signal
import subprocess
import sys
from multiprocessing.connection import Pipe
from typing import Any, cast

import pytest
import torch
from torch import nn

from bsmon.config.schema import Run
from bsmon.core.commands import Command, Stop
from bsmon.core.errors import BadInput
from bsmon.core.ports import Mailbox, Observer
from bsmon.core.records import EventKind, Level
from bsmon.engine.device import choose_device
from bsmon.engine.mishaps import RankLostError
from bsmon.engine.ranks import state
from bsmon.engine.ranks.child import Member, MemberGone
from bsmon.engine.ranks.group import Group
from bsmon.engine.ranks.likeness import Likeness, check_alike
from bsmon.engine.ranks.orders import Present, Ready
from bsmon.engine.ranks.orders import Stop as StopOrder
from bsmon.engine.ranks.patience import Patience
from bsmon.engine.ranks.sums import GradientSums, union

CPU = torch.device("cpu")


def nobody_waits(who: str, waited_s: int) -> None:
    """What is told of waiting; these ranks answer before long."""


class Doubling:
    """A group whose other rank always contributes the same."""

    def add_up(self, tensor: torch.Tensor) -> None:
        tensor.mul_(2)


def mixed() -> list[nn.Parameter]:
    """Several number types, and a weight that does not lie in the usual order."""
    return [
        nn.Parameter(torch.randn(3, 4)),
        nn.Parameter(torch.randn(5).bfloat16()),
        nn.Parameter(torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)),
        nn.Parameter(torch.randn(2).to(torch.complex64)),
        nn.Parameter(torch.randn(4).double()),
        nn.Parameter(torch.randn(()).double()),
    ]


@pytest.mark.parametrize("without", [None, 0, 2, 5])
def test_gradients_come_back_added_up_and_laid_out_as_their_weights(without: int | None) -> None:
    parameters = mixed()
    given = [torch.randn_like(p) for p in parameters]
    for index, (parameter, gradient) in enumerate(zip(parameters, given, strict=True)):
        parameter.grad = None if index == without else gradient.clone()
    sums = GradientSums(parameters, CPU, world_size=2)
    present = sums.put(torch.tensor(0.25))
    assert present == (None if without is None else tuple(index != without for index in range(len(parameters))))
    sums.put_square(1)
    squares = sum(float(g.abs().double().square().sum()) for i, g in enumerate(given) if i != without)
    sums.add_up(cast(Group, Doubling()), present)
    assert sums.loss() == 0.5
    assert sums.squares[0] == 0
    assert sums.squares[1] == pytest.approx(2 * squares, rel=1e-2)  # the group doubles that, too
    for index, (parameter, gradient) in enumerate(zip(parameters, given, strict=True)):
        if index == without:
            assert parameter.grad is None
        else:
            assert parameter.grad is not None
            assert parameter.grad.stride() == parameter.stride()
            torch.testing.assert_close(parameter.grad, 2 * gradient)


def test_a_weight_that_another_rank_reached_gets_its_gradient() -> None:
    parameter = nn.Parameter(torch.randn(3))
    sums = GradientSums([parameter], CPU, world_size=2)
    assert sums.put(torch.zeros(())) == (False,)
    sums.add_up(cast(Group, Doubling()), None)
    assert parameter.grad is not None
    assert not parameter.grad.any()


def test_a_sparse_gradient_is_refused() -> None:
    embedding = nn.Embedding(9, 3, sparse=True)
    sums = GradientSums(list(embedding.parameters()), CPU, world_size=2)
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(BadInput, match="sparse"):
        sums.put(torch.zeros(()))


def test_a_weight_that_thaws_during_the_run_is_refused() -> None:
    layer = nn.Linear(2, 2)
    layer.weight.requires_grad_(False)
    sums = GradientSums(list(layer.parameters()), CPU, world_size=2)
    layer.weight.requires_grad_()
    layer(torch.ones(1, 2)).sum().backward()
    with pytest.raises(BadInput, match="frozen"):
        sums.put(torch.zeros(()))


@pytest.mark.parametrize(
    ("presents", "expected"),
    [
        ([None, None], None),
        ([(True, False), None], None),
        ([(True, False), (False, False)], (True, False)),
        ([(False, False, True), (True, False, False)], (True, False, True)),
    ],
)
def test_union(presents: list[Present], expected: Present) -> None:
    assert union(presents) == expected


def test_a_state_is_taken_apart_and_put_together() -> None:
    weight = torch.randn(2, 3)
    given: dict[str, Any] = {"a": weight, "b": [{"step": torch.tensor(3.0)}, 0.5, (1, "x")], "c": None}
    sent: list[torch.Tensor] = []
    plan = state.outline(given, sent)
    made: list[torch.Tensor] = []
    copy = cast(dict[str, Any], state.fill(plan, CPU, made))
    for target, source in zip(made, sent, strict=True):
        target.copy_(source)
    assert torch.equal(copy["a"], weight)
    assert copy["a"] is not weight
    assert copy["b"][0]["step"] == 3
    assert (copy["b"][1:], copy["c"]) == ([0.5, (1, "x")], None)


ENDINGS = [
    ("raise SystemExit(3)", "rank 2 (process {pid}) ended with status 3"),
    ("import os; os.kill(os.getpid(), 15)", "rank 2 (process {pid}) was killed by SIGTERM"),
    (
        "import os; os.kill(os.getpid(), 9)",
        "rank 2 (process {pid}) was killed by SIGKILL; the kernel does that when memory is short",
    ),
]


@pytest.mark.parametrize(("code", "said"), ENDINGS)
def test_how_a_rank_ended_is_said(code: str, said: str) -> None:
    ours, theirs = Pipe()
    process = subprocess.Popen([sys.executable, "-c", code])
    member = Member(2, process, ours)
    with pytest.raises(MemberGone) as gone:
        member.receive(nobody_waits)  # the other end stays open: here it is looking at the process that tells
    assert str(gone.value) == said.format(pid=process.pid)
    assert process.returncode in (3, -signal.SIGTERM, -signal.SIGKILL)
    theirs.close()
    with pytest.raises(MemberGone):
        member.send(StopOrder())


def test_what_a_rank_said_before_it_ended_is_heard() -> None:
    ours, theirs = Pipe()
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    theirs.send(Ready((True,)))
    member = Member(1, process, ours)
    assert member.receive(nobody_waits) == Ready((True,))
    theirs.close()
    with pytest.raises(MemberGone):
        member.receive(nobody_waits)


def test_a_device_for_every_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _device: None)
    assert [str(choose_device(Run(world_size=2), rank)) for rank in (0, 1)] == ["cuda:0", "cuda:1"]
    assert [str(choose_device(Run(world_size=8, device="cpu"), rank)) for rank in (0, 7)] == ["cpu", "cpu"]
    with pytest.raises(BadInput, match=r"run.world_size = 3: every rank needs a GPU of its own, and torch sees 2"):
        choose_device(Run(world_size=3, device="cuda"))


class Boxes:
    """A mailbox and an observer that Patience needs."""

    def __init__(self) -> None:
        self.asked: Command | None = None
        self.said: list[str] = []

    def find(self, kind: type[Command]) -> Command | None:
        return self.asked if isinstance(self.asked, kind) else None

    def event(self, kind: EventKind, level: Level, text: str, step: int) -> None:
        assert (kind, level, step) == (EventKind.RUN, Level.WARNING, 7)
        self.said.append(text)


def patience() -> tuple[Boxes, Patience]:
    boxes = Boxes()
    return boxes, Patience(cast(Observer, boxes), cast(Mailbox, boxes), lambda: 7)


def test_a_rank_that_keeps_the_others_waiting_is_named_once() -> None:
    boxes, wait = patience()
    for second in range(1, 200):
        wait("rank 1 (process 5)", second)
    assert boxes.said == ["rank 1 (process 5) has not answered for 30 s; training waits for it"]
    boxes.asked = Stop(after_epoch=True)
    for second in range(1, 25):
        wait("rank 1 (process 5)", second)


def test_a_stop_does_not_wait_for_a_rank_for_ever() -> None:
    boxes, wait = patience()
    wait("rank 1", 100)
    boxes.asked = Stop()
    for second in range(101, 111):
        wait("rank 1", second)
    for second in range(1, 11):  # a rank that answers and then falls silent has its own time
        wait("rank 2", second)
    with pytest.raises(RankLostError, match=r"^rank 2 has not answered for 11 s, and the run was asked to stop$"):
        wait("rank 2", 11)


WEIGHTS = ("a [2, 3] torch.float32", "b [3] torch.float32")


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (Likeness(9, WEIGHTS), r"run\.toml: \[data\] has 9 training samples, on rank 0 8; what your code builds must"),
        (Likeness(8, ("a [2, 3] torch.float32, frozen", WEIGHTS[1])), "has a .* frozen where rank 0 has a .*; what"),
        (Likeness(8, WEIGHTS[:1]), "has nothing where rank 0 has b "),
        (Likeness(8, (*WEIGHTS, "c [1] torch.float32")), "has c .* where rank 0 has nothing"),
    ],
)
def test_a_rank_that_builds_something_else_is_told(own: Likeness, said: str) -> None:
    first = Likeness(8, WEIGHTS)
    check_alike("run.toml", first, first)
    with pytest.raises(BadInput, match=said):
        check_alike("run.toml", first, own)
