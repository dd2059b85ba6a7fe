"""What is kept from call to call is made anew for each test here: a fault put into the code shows in what it makes."""

import pytest

from cds_service import advice, answers, details, suggestions


@pytest.fixture(autouse=True)
def _made_anew() -> None:
    for kept in (advice._rules, answers._options, details.places, details._named, suggestions._templates):
        kept.cache_clear()
