"""The client's dealings with the reader's process, on a fake process and a fake clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from bsmon.core.records import GpuSample
from bsmon.telemetry.gpu_client import Deadlines, GpuClient
from bsmon.telemetry.gpu_process import ReaderGone
from bsmon.telemetry.gpu_protocol import Answer, Request, encode

GPU = GpuSample(index=0, uuid="GPU-0", name="one", memory_used_bytes=7)


@dataclass
class Script:
    """What the reader's processes do, and what was done to them."""

    now: float = 0.0
    answers: list[bytes | ReaderGone | OSError | None] = field(default_factory=list)
    started: int = 0
    asked: int = 0
    killed: int = 0
    unkillable: bool = False

    def start(self) -> FakeProcess:
        if self.answers and isinstance(self.answers[0], OSError):
            raise self.answers.pop(0)  # type: ignore[misc]  # narrowed by isinstance above
        self.started += 1
        return FakeProcess(self, self.started)


@dataclass
class FakeProcess:
    script: Script
    pid: int

    def ask(self, request: Request) -> None:
        self.script.asked += 1

    def receive(self, timeout_s: float) -> bytes | None:
        answer = self.script.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def kill(self) -> None:
        self.script.killed += 1

    def is_dead(self) -> bool:
        return not self.script.unkillable


def client_of(script: Script) -> GpuClient:
    return GpuClient(Deadlines(), start=script.start, clock=lambda: script.now)


def ok(*gpus: GpuSample, cpu_s: float = 0.0) -> bytes:
    return encode(Answer(gpus, driver="1", cpu_s=cpu_s)).strip()


def problem(text: str, *, absent: bool = False) -> bytes:
    return encode(Answer(problem=text, absent=absent)).strip()


def test_an_answer_is_passed_on() -> None:
    reading = client_of(Script(answers=[ok(GPU)])).poll()
    assert (reading.gpus, reading.status, reading.driver) == ((GPU,), "", "1")


def test_no_gpu_is_said_to_be_none() -> None:
    assert client_of(Script(answers=[ok()])).poll().status == "the GPU driver sees no GPU"


def test_a_late_answer_is_waited_for_without_asking_again() -> None:
    script = Script(answers=[None, None, ok(GPU)])
    client = client_of(script)
    assert [client.poll().gpus for _ in range(3)] == [(), (), (GPU,)]
    assert (script.asked, script.started) == (1, 1)


def test_numbers_grow_old_while_the_driver_is_slow() -> None:
    script = Script(answers=[ok(GPU), None, None])
    client = client_of(script)
    client.poll()
    script.now = 1.0
    assert client.poll().gpus[0].stale_s is None
    script.now = 2.5
    (gpu,) = client.poll().gpus
    assert (gpu.stale_s, gpu.reasons["gpu"]) == (2.5, "the GPU driver is slow to answer")
    assert script.killed == 0


def test_the_first_answer_may_take_longer_than_the_others() -> None:
    script = Script(answers=[None, None, ok(GPU), None, None])
    client = client_of(script)
    client.poll()
    script.now = 14.0
    client.poll()
    assert script.killed == 0
    client.poll()
    client.poll()
    script.now = 16.1
    assert client.poll().status == "the GPU driver does not answer"
    assert script.killed == 1


def test_pauses_between_starts_double_up_to_a_minute() -> None:
    script = Script(answers=[problem("broken")] * 100)
    client = client_of(script)
    starts = []
    for second in range(400):
        script.now = float(second)
        before = script.started
        client.poll()
        starts += [second] if script.started > before else []
    pauses = [later - earlier for earlier, later in pairwise(starts)]
    assert pauses == [1, 2, 4, 8, 16, 32, *[60] * 5]


def test_a_process_that_worked_for_long_is_replaced_after_the_shortest_pause() -> None:
    script = Script(answers=[problem("broken"), problem("broken"), ok(GPU), ok(GPU), ReaderGone("crashed"), ok(GPU)])
    client = client_of(script)
    for now in (0, 1, 3, 40, 41, 42):
        script.now = float(now)
        reading = client.poll()
    assert (reading.status, script.started) == ("", 4)


def test_nothing_starts_beside_a_process_that_cannot_be_killed() -> None:
    script = Script(answers=[ReaderGone("stuck"), ok(GPU)], unkillable=True)
    client = client_of(script)
    client.poll()
    script.now = 1000.0
    assert client.poll().status == "stuck"
    assert script.started == 1
    assert client.pids == {1}
    script.unkillable = False
    assert client.poll().gpus == (GPU,)
    assert client.pids == {2}


def test_without_a_driver_it_starts_once_and_never_again() -> None:
    script = Script(answers=[problem("no driver", absent=True)])
    client = client_of(script)
    for now in range(0, 5000, 50):
        script.now = float(now)
        reading = client.poll()
    assert (script.started, reading.absent, reading.status) == (1, True, "no driver")


@pytest.mark.parametrize("line", [b"", b"{", b"\xff\xfe", b'{"gpus": 3}', b"null"])
def test_nonsense_ends_the_process(line: bytes) -> None:
    script = Script(answers=[line])
    assert client_of(script).poll().status == "the GPU reader sent nonsense"
    assert script.killed == 1


def test_a_system_without_processes_left_is_tried_again() -> None:
    script = Script(answers=[OSError(11, "Resource temporarily unavailable"), ok(GPU)])
    client = client_of(script)
    assert client.poll().status == "the GPU reader cannot be started: Resource temporarily unavailable"
    script.now = 2.0
    assert client.poll().gpus == (GPU,)


def test_processor_time_adds_up_over_restarts() -> None:
    script = Script(answers=[ok(GPU, cpu_s=2.0), ReaderGone("crashed"), ok(GPU, cpu_s=0.5)])
    client = client_of(script)
    client.poll()
    assert client.poll().cpu_s == 2.0
    script.now = 5.0
    assert client.poll().cpu_s == 2.5


def test_one_silent_gpu_with_slices_keeps_all_its_parts() -> None:
    parts = tuple(GpuSample(index=1, uuid=uuid, name="two") for uuid in ("GPU-1", "MIG-1a", "MIG-1b"))
    silent = GpuSample(index=1, uuid="GPU-1", name="two", reasons={"gpu": "lost"})
    client = client_of(Script(answers=[ok(GPU, *parts), ok(GPU, silent)]))
    client.poll()
    fresh, *old = client.poll().gpus
    assert fresh == GPU
    assert [(gpu.uuid, gpu.stale_s, gpu.reasons["gpu"]) for gpu in old] == [(part.uuid, 0.0, "lost") for part in parts]


def test_closing_kills_the_process() -> None:
    script = Script(answers=[ok(GPU)])
    client = client_of(script)
    client.poll()
    client.close()
    assert (script.killed, client.is_running) == (1, False)
