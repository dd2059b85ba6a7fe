"""TLS to a server that is called by an address that was judged: with its name, and always verified."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cds_service import lines
from cds_service.ehr import Unanswered, fetch, get
from tests.ehr import BUDGET

pytestmark = pytest.mark.timeless  # nothing in it is dated

NAME = "fhir.hospital.example"
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    """A certificate authority of a hospital."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def issue(self, folder: Path, *names: x509.GeneralName, until: timedelta = DAY) -> Path:
        """A file with a key and a certificate for these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _of("server", self.certificate.subject, key, until)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        path = folder / f"{certificate.serial_number}.pem"
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(secret + certificate.public_bytes(Encoding.PEM))
        return path


def _of(
    name: str, issuer: x509.Name | None, key: ec.EllipticCurvePrivateKey, until: timedelta
) -> x509.CertificateBuilder:
    """The clock of OpenSSL is that of the machine, not that which a test moves: hence the epoch of files."""
    now = datetime.fromtimestamp(NOW, UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer or subject).public_key(key.public_key())
    )
    return (
        builder.serial_number(x509.random_serial_number()).not_valid_before(now - 2 * DAY).not_valid_after(now + until)
    )


NOW = Path("/proc/self").stat().st_mtime if Path("/proc/self").exists() else time.time()


@pytest.fixture(scope="module", name="authority")
def _authority() -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    basic = x509.BasicConstraints(ca=True, path_length=None)
    return Authority(key, _of("ca", None, key, DAY).add_extension(basic, critical=True).sign(key, hashes.SHA256()))


@pytest.fixture(name="trusted")
def _trusted(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine trusts the authority: SSL_CERT_FILE names it, as it would for a hospital of its own authority."""
    path = tmp_path / "authority.pem"
    path.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    lines.trusted.cache_clear()
    yield
    lines.trusted.cache_clear()


@pytest.fixture(autouse=True, name="names")
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that knows NAME; all other names it asks elsewhere."""
    resolver = socket.getaddrinfo

    def resolve(host: Any, *rest: Any, **options: Any) -> Any:
        return resolver("127.0.0.1" if host == NAME else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@dataclass
class Told:
    port: int = 0
    hosts: list[str] | None = None  # the header Host of each request
    names: list[str | None] | None = None  # the name that each handshake asked for (SNI)


@contextmanager
def serving(certificate: Path) -> Iterator[Told]:
    """A real HTTPS server on this machine; gives its port and what it heard."""
    told = Told(hosts=[], names=[])

    class Front(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert told.hosts is not None
            told.hosts.append(self.headers["Host"])
            self.send_response(200)
            self.send_header("Cache-Control", "max-age=60")
            self.end_headers()
            self.wfile.write(b'{"resourceType": "Patient"}')

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _, name, __: told.names.append(name) if told.names is not None else None
    with _Listener(("127.0.0.1", 0), Front) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        told.port = server.server_address[1]
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield told
        server.shutdown()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Nothing: a client that does not trust us leaves."""


def _ask(host: str, port: int) -> tuple[Any, Any]:
    return fetch(f"https://{host}:{port}/fhir", {}, time.monotonic() + 10, private=True)


@pytest.mark.usefixtures("trusted")
def test_the_right_name_of_an_authority_that_is_trusted_is_asked_by_its_name(
    authority: Authority, tmp_path: Path
) -> None:
    with serving(authority.issue(tmp_path, x509.DNSName(NAME))) as told:
        answer, headers = _ask(NAME, told.port)

    assert (answer, headers["cache-control"]) == ({"resourceType": "Patient"}, "max-age=60")
    assert (told.hosts, told.names) == ([f"{NAME}:{told.port}"], [NAME])


@pytest.mark.usefixtures("trusted")
def test_an_address_in_the_certificate_is_right_where_the_address_was_agreed(
    authority: Authority, tmp_path: Path
) -> None:
    with serving(authority.issue(tmp_path, x509.IPAddress(ip_address("127.0.0.1")))) as told:
        assert _ask("127.0.0.1", told.port)[0] == {"resourceType": "Patient"}


WRONG: dict[str, Any] = {
    "another name": {"names": [x509.DNSName("other.example")]},
    "a name below it": {"names": [x509.DNSName(f"a.{NAME}")]},
    "the name above it, for all below that": {"names": [x509.DNSName("*.example")]},
    "the address and not the name": {"names": [x509.IPAddress(ip_address("127.0.0.1"))]},
    "past its end": {"names": [x509.DNSName(NAME)], "until": -DAY},
}


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_certificate_that_is_not_right_for_the_name_ends_it_before_the_request(
    authority: Authority, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    issued = {name: value for name, value in wrong.items() if name != "names"}
    with serving(authority.issue(tmp_path, *wrong["names"], **issued)) as told:
        with pytest.raises(Unanswered) as refused:
            _ask(NAME, told.port)

        assert isinstance(refused.value.__cause__, ssl.SSLCertVerificationError)
        assert told.hosts == []


def test_an_authority_that_this_machine_does_not_trust_ends_it_before_the_request(
    authority: Authority, tmp_path: Path
) -> None:
    with serving(authority.issue(tmp_path, x509.DNSName(NAME))) as told:
        with pytest.raises(Unanswered) as refused:
            _ask(NAME, told.port)

        assert isinstance(refused.value.__cause__, ssl.SSLCertVerificationError)
        assert told.hosts == []


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PYTHONHTTPSVERIFY"])
def test_no_other_variable_of_this_machine_makes_it_trusted(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    ours = tmp_path / "authority.pem"
    ours.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    monkeypatch.setenv(variable, "0" if variable.startswith("PYTHON") else str(ours))
    lines.trusted.cache_clear()

    with serving(authority.issue(tmp_path, x509.DNSName(NAME))) as told, pytest.raises(Unanswered):
        _ask(NAME, told.port)


def test_a_handshake_without_an_end_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()

        with pytest.raises(Unanswered):
            get(f"https://127.0.0.1:{silent.getsockname()[1]}/fhir", {}, start + BUDGET, private=True)

        assert time.monotonic() - start < 10 * BUDGET


def test_a_connection_that_nobody_takes_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(4)]
        for line in waiting:
            line.setblocking(False)
            line.connect_ex(full.getsockname())
        start = time.monotonic()

        with pytest.raises(Unanswered):
            get(f"http://127.0.0.1:{full.getsockname()[1]}/fhir", {}, start + BUDGET, private=True)

        assert time.monotonic() - start < 10 * BUDGET
        for line in waiting:
            line.close()
