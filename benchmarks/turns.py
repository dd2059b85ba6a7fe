"""Rounds in which each side has its turn, so that what disturbs the machine disturbs all of them."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.calls import Answers, answers
from benchmarks.processes import Server, cpu_seconds

T = TypeVar("T")


@dataclass(frozen=True)
class Measured:
    """A number of calls to a server: what they got, and microseconds of the processor for each."""

    answers: Answers
    cpu: float


def measured(servers: Sequence[Server], called: Sequence[bytes]) -> Measured:
    """These calls, which the servers share. Raises RuntimeError when one got no card."""
    processes = [server.process for server in servers]
    before = cpu_seconds(*processes)
    got = answers([server.port for server in servers], called)
    if got.without_card:
        raise RuntimeError(f"{got.without_card} of {len(called)} calls got no card")
    return Measured(got, (cpu_seconds(*processes) - before) / len(called) * 1e6)


def turns(rounds: int, sides: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """What each side gave in each round; one more round before them, to warm up, is thrown away."""
    found = [{name: side() for name, side in sides.items()} for _ in range(rounds + 1)][1:]
    return {name: [one[name] for one in found] for name in sides}


def ratios(one: Iterable[float], other: Iterable[float]) -> tuple[float, ...]:
    """Round by round."""
    return tuple(a / b for a, b in zip(one, other, strict=True))


def speed(found: Iterable[Measured]) -> list[float]:
    """Calls per second of each round."""
    return [one.answers.a_second for one in found]


def cpu(found: Iterable[Measured]) -> list[float]:
    """Microseconds of the processor per call, of each round."""
    return [one.cpu for one in found]


def said(found: Sequence[Measured]) -> str:
    """The medians in words."""
    p50, p99 = (statistics.median(one.answers.milliseconds(share) for one in found) for share in (0.5, 0.99))
    figures = f"{statistics.median(speed(found)):.0f} a second, p50 {p50:.1f} ms, p99 {p99:.1f} ms"
    return f"{figures}, {statistics.median(cpu(found)):.0f} µs CPU"
