"""Which addresses are called: public ones, whatever a name says a moment later, and private ones where agreed."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from cds_service.addresses import AT_ONCE, NotPublic, addresses_of, may_be_called
from cds_service.ehr import Elsewhere, Unanswered, get
from tests.conftest import topics
from tests.ehr import BUDGET, ROOT, Ehr, Serve, connections, fetching
from tests.ehr import ehr_server as _ehr_server  # noqa: F401 - the fixture `ehr`
from tests.ehr import enough_for_a_busy_machine as _patience  # noqa: F401 - the fixture `patience` of every test here
from tests.ehr import service_with_fhir_servers as _serve  # noqa: F401 - the fixture `serve`
from tests.samples import CALM, patient, response
from tests.wire import cards_of, refusal_of, send

pytestmark = pytest.mark.timeless  # nothing in it is dated

# The blocks of the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), those of multicast (RFC 5771;
# RFC 4291, 2.7), of the site-local addresses that were (RFC 3879), and of the IPv4-compatible ones (RFC 4291, 2.5.5.1).
SPECIAL = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private-use",
    "100.64.0.0/10": "shared address space",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link local",
    "172.16.0.0/12": "private-use",
    "192.0.0.0/24": "IETF protocol assignments",
    "192.0.2.0/24": "documentation (TEST-NET-1)",
    "192.88.99.0/24": "deprecated (6to4 relay anycast)",
    "192.168.0.0/16": "private-use",
    "198.18.0.0/15": "benchmarking",
    "198.51.100.0/24": "documentation (TEST-NET-2)",
    "203.0.113.0/24": "documentation (TEST-NET-3)",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
    "255.255.255.255/32": "limited broadcast",
    "::/128": "unspecified",
    "::1/128": "loopback",
    "::/96": "IPv4-compatible",
    "::ffff:0:0/96": "IPv4-mapped",
    "64:ff9b::/96": "IPv4-IPv6 translation (NAT64)",
    "64:ff9b:1::/48": "IPv4-IPv6 translation",
    "100::/64": "discard-only",
    "100:0:0:1::/64": "dummy prefix",
    "2001::/23": "IETF protocol assignments",
    "2001::/32": "Teredo",
    "2001:2::/48": "benchmarking",
    "2001:10::/28": "deprecated (ORCHID)",
    "2001:20::/28": "ORCHIDv2",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",
    "3fff::/20": "documentation",
    "5f00::/16": "segment routing",
    "fc00::/7": "unique-local",
    "fe80::/10": "link-local unicast",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
}
BLOCKS = [ip_network(block) for block in SPECIAL]
AGREED = [ip_network(one) for one in ("10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]  # RFC 1918
AGREED += [ip_network("::1/128"), ip_network("fc00::/7")]  # RFC 4193


def _within(block: IPv4Network | IPv6Network) -> st.SearchStrategy[str]:
    return st.integers(0, block.num_addresses - 1).map(lambda number: str(block[number]))


@given(st.sampled_from(BLOCKS).flatmap(_within))
def test_no_address_of_a_special_block_is_called(address: str) -> None:
    assert not may_be_called(address)


@pytest.mark.parametrize("block", SPECIAL)
def test_neither_the_first_nor_the_last_address_of_a_special_block_is_called(block: str) -> None:
    assert [may_be_called(str(ip_network(block)[place])) for place in (0, -1)] == [False, False]


@given(st.one_of(st.ip_addresses(), st.sampled_from(BLOCKS).flatmap(_within).map(ip_address)))
@example(ip_address("64:ff9b::a9fe:a9fe"))
def test_what_python_takes_for_not_global_is_not_called(address: Any) -> None:
    assert address.is_global or not may_be_called(str(address))


@given(st.ip_addresses(v=4))
def test_every_other_ipv4_address_is_called(address: Any) -> None:
    assume(not any(address in block for block in BLOCKS))
    assert may_be_called(str(address))


@given(_within(ip_network("2000::/3")))
def test_every_other_global_unicast_ipv6_address_is_called(address: str) -> None:
    assume(not any(ip_address(address) in block for block in BLOCKS))
    assert may_be_called(address)


@given(st.sampled_from(AGREED).flatmap(_within))
def test_an_address_of_a_private_network_or_of_this_machine_is_called_where_that_was_agreed(address: str) -> None:
    assert may_be_called(address, private=True)


@given(st.sampled_from(BLOCKS).flatmap(_within))
def test_all_other_special_addresses_are_not_called_even_where_private_ones_were_agreed(address: str) -> None:
    assume(not any(ip_address(address) in block for block in AGREED))
    assert not may_be_called(address, private=True)


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "2130706433", "0x7f.1", "8.8.8.8 ", "8.8.8.8:80", "fe80::1%lo"]
)
def test_what_is_no_plain_address_is_not_called(text: str) -> None:
    assert not may_be_called(text)


# ---------------------------------------------------------------------------------------------------- what a name says

PUBLIC = "93.184.215.14"
NAME = "fhir.hospital.example"
Names = Callable[..., list[str]]  # puts these addresses, lookup after lookup, under NAME; gives what was asked of it


@pytest.fixture(name="names")
def _names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """A resolver that knows NAME: each lookup takes the next answer, the last one stays."""
    resolver = socket.getaddrinfo
    answers: list[Sequence[str]] = []
    looked_up: list[str] = []

    def know(*told: Sequence[str]) -> list[str]:
        answers[:] = told
        return looked_up

    def resolve(host: Any, port: Any, *rest: Any, **options: Any) -> Any:
        if host != NAME:
            return resolver(host, port, *rest, **options)
        looked_up.append(host)
        told = answers.pop(0) if len(answers) > 1 else answers[0]
        return [one for address in told for one in resolver(address, port, *rest, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return know


LEADING_INSIDE = {
    "loopback": ["127.0.0.1"],
    "a cloud's passwords": ["169.254.169.254"],
    "a private network": ["10.0.0.7"],
    "another private network": ["172.16.3.4"],
    "a router at home": ["192.168.0.1"],
    "a provider's customers": ["100.64.0.1"],
    "this host": ["0.0.0.0"],  # noqa: S104 - nothing is bound to it
    "broadcast": ["255.255.255.255"],
    "loopback in IPv6": ["::1"],
    "unique local": ["fd00::1"],
    "a cloud's passwords in IPv6": ["fd00:ec2::254"],
    "link local": ["fe80::1"],
    "mapped loopback": ["::ffff:127.0.0.1"],
    "translated loopback": ["64:ff9b::7f00:1"],
    "6to4 loopback": ["2002:7f00:1::1"],
    "Teredo": ["2001:0:7f00:1::1"],
    "unspecified": ["::"],
    "a public one, and loopback behind it": [PUBLIC, "127.0.0.1"],
    "loopback, and a public one behind it": ["127.0.0.1", PUBLIC],
    "public ones, and a private one among them": [PUBLIC, "2606:2800:21f::1", "10.0.0.7", "93.184.215.15"],
}


@pytest.mark.parametrize("addresses", LEADING_INSIDE.values(), ids=LEADING_INSIDE)
def test_a_name_that_leads_inside_is_looked_up_and_not_called(names: Names, serve: Serve, addresses: list[str]) -> None:
    base, looked_up = f"http://{NAME}/fhir", names(addresses)

    with connections(lookups=False) as called:
        answer = send(serve(base, private_addresses=False), fetching(base))

    refusal_of(answer, 412)
    assert looked_up
    assert called == []


def test_localhost_is_not_called_unless_that_was_agreed_and_the_log_tells_that_once_for_a_call(
    ehr: Ehr, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    hospital = ehr.hospital(patient(), response(CALM))
    base = hospital.base.replace("127.0.0.1", "localhost")

    with caplog.at_level("WARNING"):
        refusal_of(send(serve(base, private_addresses=False), fetching(base)), 412)
    assert hospital.requests() == []
    assert [base in line for line in caplog.messages if "private-addresses" in line] == [True]

    assert topics(cards_of(send(serve(base, private_addresses=True), fetching(base)))) == ["self-care"]


def test_public_addresses_are_given_in_the_order_of_the_resolver(names: Names) -> None:
    names([PUBLIC, "2606:2800:21f::1", PUBLIC])
    assert addresses_of(NAME, 443, time.monotonic() + 10) == (PUBLIC, "2606:2800:21f::1")


def test_a_name_that_leads_inside_the_second_time_is_looked_up_once_for_each_request(
    names: Names, ehr: Ehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the address that was judged is the one that is called."""
    hospital = ehr.hospital(patient())
    base = hospital.base.replace("127.0.0.1", NAME)
    monkeypatch.setattr("cds_service.addresses.SPECIAL_IPV4", (ip_network("127.0.0.2/32"),))  # so 127.0.0.1 is "public"

    for number in range(1, 51):
        looked_up = names(["127.0.0.1"], ["127.0.0.2"])
        with connections(lookups=False) as called:
            assert get(f"{base}/Patient/p1", {}, time.monotonic() + 10)["id"] == "p1"
        assert len(looked_up) == number
        assert [one.partition(":")[0] for one in called] == ["127.0.0.1"]

    with pytest.raises(Elsewhere):
        get(f"{base}/Patient/p1", {}, time.monotonic() + 10)
    assert len(hospital.requests()) == 50
    assert {request.headers["host"] for request in hospital.requests()} == {base.split("/")[2]}


def test_where_nobody_listens_at_the_first_address_the_next_is_called(names: Names, ehr: Ehr) -> None:
    hospital = ehr.hospital(patient())
    names(["127.0.0.9", "127.0.0.1"])

    url = f"{hospital.base.replace('127.0.0.1', NAME)}/Patient/p1"
    assert get(url, {}, time.monotonic() + 10, private=True)["id"] == "p1"


@pytest.fixture(name="hanging")
def _hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A resolver that knows no answer for NAME, and does not say so; gives what it was asked."""
    resolver, asked, end = socket.getaddrinfo, list[str](), Event()

    def resolve(host: Any, *rest: Any, **options: Any) -> Any:
        if host == NAME:
            asked.append(host)
            end.wait(30)
            raise socket.gaierror
        return resolver(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    yield asked
    end.set()


def test_a_lookup_without_an_end_is_given_up_in_time_and_the_ones_that_hang_are_few(hanging: list[str]) -> None:
    start = time.monotonic()

    for _ in range(3 * AT_ONCE):
        with pytest.raises(Unanswered):
            get(f"https://{NAME}/fhir", {}, time.monotonic() + 0.01)

    assert len(hanging) <= AT_ONCE
    assert time.monotonic() - start < 10 * BUDGET
    assert addresses_of("93.184.215.14", 443, time.monotonic() + 10)  # other names are looked up meanwhile


def test_a_name_that_does_not_exist_has_no_address() -> None:
    with pytest.raises(OSError, match="no such name"):
        addresses_of("", 443, time.monotonic() + 10)
    with pytest.raises(NotPublic):
        addresses_of("127.0.0.1", 443, time.monotonic() + 10)


# --------------------------------------------------------------------------------------------- in a network of its own


def _namespaces() -> bool:
    tools = [shutil.which(tool) for tool in ("unshare", "ip", "mount")]
    return all(tools) and subprocess.run([str(tools[0]), "-n", "-m", "true"], capture_output=True).returncode == 0


@pytest.mark.timeless
@pytest.mark.skipif(not _namespaces(), reason="only who may make network namespaces (root on Linux) can run this")
def test_in_a_network_with_canaries_on_private_addresses_none_of_them_hears_a_call(tmp_path: Path) -> None:
    command = ["unshare", "-n", "-m", sys.executable, "-m", "tests.ehr_namespace", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, env=os.environ, check=True)
    heard = json.loads(done.stdout.splitlines()[-1])

    assert heard["asked"] >= 20
    assert heard["answers"] == [412]
    assert heard["strangers"] == 0
    assert heard["where agreed"] == ["10.0.0.1", "192.168.0.1", "fd00::1"]
