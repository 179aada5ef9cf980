"""Progress goes to a bar, to the caller who asked for events, or nowhere."""

import contextvars
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stfmkit._core.errors import StfmkitWarning
from stfmkit._core.progress import Cancelled, Event, counter, progress, report_to, step


def ends(events: list[Event]) -> list[tuple[str, int, int | None]]:
    return [(event.label, event.done, event.total) for event in events]


def check_complete(events: list[Event]) -> None:
    """A stretch of work that came to its end, whatever was counted."""
    assert events[0].done == 0
    assert events[-1].done == events[-1].total
    for before, after in pairwise(events):
        assert before.done <= after.done
        assert before.seconds <= after.seconds
    for event in events:
        assert event.total is None or event.done <= event.total
        assert event.seconds >= 0
        if event.total is None or event.done == 0:
            assert event.remaining is None
        else:
            assert event.remaining == pytest.approx(event.seconds * (event.total - event.done) / event.done)
    assert len({(event.label, event.unit) for event in events}) == 1


@given(n=st.integers(0, 20), stated=st.none() | st.integers(0, 25), sized=st.booleans())
def test_events_are_complete_and_never_go_back(n: int, stated: int | None, sized: bool) -> None:
    events: list[Event] = []
    items = list(range(n)) if sized else (i for i in range(n))
    with report_to(events.append):
        assert list(progress(items, label="count", total=stated, unit="part")) == list(range(n))
    check_complete(events)
    assert events[-1].done == n
    assert (events[0].label, events[0].unit) == ("count", "part")
    if stated is None:
        assert events[0].total == (n if sized else None)


@given(st.lists(st.integers(0, 9), max_size=9), st.none() | st.integers(0, 40))
def test_a_counter_counts_units(advances: list[int], total: int | None) -> None:
    events: list[Event] = []
    with report_to(events.append), counter(label="embed", total=total, unit="obs") as advance:
        for n in advances:
            advance(n)
    check_complete(events)
    assert events[-1].done == sum(advances)


def test_an_item_is_done_when_the_next_one_is_asked_for() -> None:
    seen: list[object] = []
    with report_to(lambda event: seen.append(event.done)):
        seen.extend(progress("ab", label="x"))
    assert seen == [0, "a", 1, "b", 2]


def test_a_step_begins_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    events: list[Event] = []
    with report_to(events.append), step("Reading"):
        assert ends(events) == [("Reading", 0, 1)]
    assert ends(events) == [("Reading", 0, 1), ("Reading", 1, 1)]
    assert {event.unit for event in events} == {"step"}
    assert capsys.readouterr().err == ""
    with step("Reading"), step("in silence", show=False):
        pass
    assert capsys.readouterr().err == "Reading …\n"


def fail_in(stretch: AbstractContextManager[Any]) -> None:
    with stretch as advance:
        if advance is not None:
            advance(1)
        raise ZeroDivisionError


def test_work_that_fails_has_no_end() -> None:
    events: list[Event] = []
    with report_to(events.append):
        with pytest.raises(ZeroDivisionError):
            fail_in(counter(label="x", total=2, unit="it"))
        with pytest.raises(ZeroDivisionError):
            fail_in(step("y"))
        for _ in progress(range(3), label="z"):
            break
    assert ends(events) == [("x", 0, 2), ("x", 1, 2), ("y", 0, 1), ("z", 0, 3)]


@pytest.mark.parametrize("how", ["break", "error", "cancel"])
def test_a_generator_that_is_not_read_to_its_end_is_closed(how: str) -> None:
    closed = []

    def work() -> Iterator[int]:
        try:
            yield from range(5)
        finally:
            closed.append(True)

    def callback(event: Event) -> None:
        if how == "cancel" and event.done == 2:
            raise Cancelled

    def consume() -> None:
        for item in progress(work(), label="x"):
            if item == 2 and how == "break":
                break
            if item == 2 and how == "error":
                raise ZeroDivisionError

    with report_to(callback):
        if how == "break":
            consume()
        else:
            with pytest.raises(ZeroDivisionError if how == "error" else Cancelled):
                consume()
    assert closed == [True]


# what shows it


def test_bars_are_silent_for_short_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(range(3), label="x")) == [0, 1, 2]
    with counter(label="x", total=3, unit="it") as advance:
        advance(3)
    assert capsys.readouterr() == ("", "")


def test_bars_show_long_work(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stfmkit._core.progress._DELAY", 0.01)
    for _ in progress(range(3), label="long work", unit="part"):
        time.sleep(0.15)
    shown = capsys.readouterr()
    assert "long work" in shown.err
    assert "3" in shown.err
    assert shown.out == ""


def test_nothing_is_shown_or_sent_where_show_is_false(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stfmkit._core.progress._DELAY", 0.0)
    events: list[Event] = []
    assert list(progress(range(3), label="x", show=False)) == [0, 1, 2]
    with report_to(events.append):
        assert list(progress(range(3), label="x", show=False)) == [0, 1, 2]
        with counter(label="x", total=3, unit="it", show=False) as advance:
            advance(1)
    assert events == []
    assert capsys.readouterr() == ("", "")


def test_events_replace_the_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stfmkit._core.progress._DELAY", 0.0)
    with report_to(lambda event: None):
        for _ in progress(range(2), label="x"):
            time.sleep(0.12)
    assert capsys.readouterr() == ("", "")


def test_the_inner_callback_counts_and_the_outer_comes_back() -> None:
    outer: list[Event] = []
    inner: list[Event] = []
    with report_to(outer.append):
        with report_to(inner.append):
            list(progress([1], label="inner"))
        list(progress([1], label="outer"))
    list(progress([1], label="nobody"))
    assert {event.label for event in inner} == {"inner"}
    assert {event.label for event in outer} == {"outer"}


# threads


def test_every_thread_has_its_own_callback() -> None:
    barrier = threading.Barrier(4)

    def work(name: str) -> list[Event]:
        events: list[Event] = []
        with report_to(events.append):
            for _ in progress(range(50), label=name):
                if not events[-1].done % 10:
                    barrier.wait()
        return events

    with ThreadPoolExecutor(4) as pool:
        for name, events in zip("abcd", pool.map(work, "abcd"), strict=True):
            check_complete(events)
            assert {event.label for event in events} == {name}


def test_a_counter_may_be_advanced_by_many_threads() -> None:
    events: list[Event] = []
    with report_to(events.append), counter(label="x", total=2000, unit="it") as advance, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: advance(1), range(2000)))
    check_complete(events)
    assert [event.done for event in events] == list(range(2001))


def test_a_thread_in_a_copy_of_the_context_reports_and_another_does_not() -> None:
    events: list[Event] = []
    with report_to(events.append), ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: list(progress([1], label="alone"))).result()
        context = contextvars.copy_context()
        pool.submit(lambda: context.run(lambda: list(progress([1], label="with it")))).result()
    assert {event.label for event in events} == {"with it"}


# callbacks that raise


def test_a_callback_that_fails_does_not_stop_the_work_and_is_told_once() -> None:
    calls = []

    def callback(event: Event) -> None:
        calls.append(event.done)
        msg = "the line is dead"
        raise ConnectionError(msg)

    with report_to(callback), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert list(progress(range(3), label="x")) == [0, 1, 2]
        with step("y"):
            pass
    assert calls == [0, 1, 2, 3, 0, 1]  # it is asked again: it may recover, or cancel
    (only,) = caught
    assert only.category is StfmkitWarning
    assert "ConnectionError: the line is dead" in str(only.message)


@pytest.mark.parametrize("stop", [Cancelled, KeyboardInterrupt])
def test_a_callback_stops_the_work_between_two_units(stop: type[BaseException]) -> None:
    done: list[int] = []

    def callback(event: Event) -> None:
        if event.done == 2:
            raise stop

    with report_to(callback), pytest.raises(stop):
        done.extend(progress(range(5), label="x"))
    assert done == [0, 1]


def test_nothing_that_handles_failures_takes_cancelled_for_one() -> None:
    assert not issubclass(Cancelled, Exception)


def test_cancelling_before_the_first_unit() -> None:
    def callback(event: Event) -> None:
        raise Cancelled

    with report_to(callback), pytest.raises(Cancelled):
        next(progress(iter([1]), label="x"))
