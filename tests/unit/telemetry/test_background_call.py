"""Calls with a deadline."""

from __future__ import annotations

import threading

from bsmon.telemetry.background import BackgroundCall

PATIENCE_S = 30.0


def test_each_result_is_a_new_call() -> None:
    numbers = iter(range(100))
    call = BackgroundCall(lambda: next(numbers), "test")
    assert [call.result(PATIENCE_S) for _ in range(3)] == [0, 1, 2]
    call.close(PATIENCE_S)


def test_a_call_that_hangs_is_not_waited_for_and_not_made_twice() -> None:
    gate = threading.Event()
    calls: list[int] = []

    def hang() -> int:
        calls.append(len(calls))
        gate.wait(PATIENCE_S)
        return len(calls)

    call = BackgroundCall(hang, "test")
    assert [call.result(0.01) for _ in range(3)] == [None, None, None]
    gate.set()
    assert call.result(PATIENCE_S) == 1
    assert call.result(PATIENCE_S) == 2
    call.close(PATIENCE_S)


def test_closing_ends_the_thread() -> None:
    call = BackgroundCall(lambda: 1, "bsmon-test-closing")
    call.result(PATIENCE_S)
    call.close(PATIENCE_S)
    assert "bsmon-test-closing" not in {thread.name for thread in threading.enumerate()}


def test_closing_does_not_wait_for_one_that_hangs() -> None:
    gate = threading.Event()
    call = BackgroundCall(lambda: gate.wait(PATIENCE_S), "bsmon-test-hanging")
    call.result(0.01)
    call.close(0.01)
    assert "bsmon-test-hanging" in {thread.name for thread in threading.enumerate()}
    gate.set()


def test_the_threads_processor_time_is_known() -> None:
    call = BackgroundCall(lambda: sum(range(100_000)), "test")
    call.result(PATIENCE_S)
    assert call.cpu_s > 0
    call.close(PATIENCE_S)
