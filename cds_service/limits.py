"""How often a client may call, counted by each process for itself: behind several, a client has that many times more.

A call too many is a missing card: the limit is far above what an EHR needs, and a clock that is put back stops nobody.
"""

from collections.abc import Callable
from functools import partial
from threading import Lock

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from cds_service.errors import TooManyCalls

_WAIT = 1  # seconds: the window is one


Rate = Callable[[str, int], None]  # owner, calls a second agreed → nothing, or raises TooManyCalls


def limiter() -> tuple[Rate, Rate]:
    """Two that raise TooManyCalls for a call too many of an owner: the first only looks, the second counts the call.

    The tenants of a client share what was agreed with it. A sliding window: no burst of twice as many where two seconds
    meet. Calls that are refused do not count.
    """
    windows = SlidingWindowCounterRateLimiter(MemoryStorage())  # the other kinds would wait for a clock put back

    alone = Lock()  # the storage starts threads of its own, and two callers could start the same one

    def limited(asked: Callable[..., bool], owner: str, calls_per_second: int) -> None:
        with alone:
            if not asked(RateLimitItemPerSecond(calls_per_second), owner.partition(" ")[0]):
                raise TooManyCalls(_WAIT)

    return partial(limited, windows.test), partial(limited, windows.hit)
