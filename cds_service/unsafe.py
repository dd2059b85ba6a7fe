"""Starts that are refused because serving so would not be safe, each with one clear line that says what to write.

Sources: CDS Hooks 2.0.1 and 3.0 ballot, "Security and Safety"; OWASP ASVS 5.0, 13.3 and 13.4.2.
"""

import os
import stat
import sys
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

from flask.helpers import get_debug_flag

from cds_service.clients import Client
from cds_service.config import KEY_LENGTH, Settings
from cds_service.errors import SettingsError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_OTHERS_READ = 0o004
_OTHERS_WRITE = 0o022  # the group among them
_VARIED = 8  # different characters that a secret has at least; of 32 random hexadecimal ones, 13 are usual

Clients = Mapping[str, Client]


def refuse(reasons: Iterator[str]) -> None:
    """Raises SettingsError with the first reason, if there is one."""
    for reason in reasons:
        raise SettingsError(reason)


def unsafe(settings: Settings, clients: Clients) -> Iterator[str]:
    """Every reason not to serve with these settings, whatever the content."""
    if settings.development:
        return _in_development(settings)
    parts = (_who_calls(settings, clients), _whom_we_call(clients), _secrets(settings), _files(settings, clients))
    return chain(*parts, _debug())


def unsigned(settings: Settings, *, signed: bool) -> Iterator[str]:
    """The reason not to serve this content; `signed` says whether a clinician has signed all of it."""
    if not (signed or settings.allow_unsigned or settings.development):
        yield "CDS_ALLOW_UNSIGNED: no clinician has signed the content; have it signed, or set it to 1"


def _in_development(settings: Settings) -> Iterator[str]:
    if settings.host not in LOOPBACK and not settings.development_any_address:
        yield "CDS_HOST: nobody is authenticated; write 127.0.0.1, or set CDS_DEVELOPMENT_ANY_ADDRESS=1"
    if not settings.database_url.startswith("sqlite") and not settings.development_any_database:
        yield (
            "CDS_DATABASE_URL: nobody is authenticated, and this may be the database of production; "
            "write an SQLite file, or set CDS_DEVELOPMENT_ANY_DATABASE=1"
        )


def _who_calls(settings: Settings, clients: Clients) -> Iterator[str]:
    if not any(client.issuer for client in clients.values()):
        yield "CDS_CLIENTS: no client can be authenticated; write one with issuer and jwks, or set CDS_DEVELOPMENT=1"
    if not settings.public.startswith("https://"):
        yield "CDS_PUBLIC_URL: is not https; write the https address that clients call, or set CDS_DEVELOPMENT=1"


def _whom_we_call(clients: Clients) -> Iterator[str]:
    for name, client in clients.items():
        place = f"CDS_CLIENTS: {name}.fhir-servers"
        if any(not server.startswith("https://") for server in client.fhir_servers):
            yield f"{place}: is not https; write https, or set CDS_DEVELOPMENT=1"
        if not client.private_addresses and any(_is_private(server) for server in client.fhir_servers):
            yield f"{place}: is not a public address; write that of the hospital, or private-addresses = true"


def _is_private(server: str) -> bool:
    """Whether a server is named by loopback or another address that is not public; names are looked up at each call."""
    host = urlsplit(server).hostname or ""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _secrets(settings: Settings) -> Iterator[str]:
    if not settings.has_patient_key:
        yield f"CDS_PATIENT_KEY: is missing or short; write a secret of {KEY_LENGTH} characters or more, and keep it"
    for name in ("patient_key", "metrics_token"):
        secret = getattr(settings, name).get_secret_value()
        if len(secret) >= KEY_LENGTH and len(set(secret)) < _VARIED:
            yield f"CDS_{name.upper()}: can be guessed; write what `openssl rand -hex 32` prints"


def _files(settings: Settings, clients: Clients) -> Iterator[str]:
    """Who reads a secret has it; who writes the clients or their keys becomes a client. Public keys are public."""
    for name in ("patient_key_file", "metrics_token_file"):
        path = getattr(settings, name)
        if path and _mode(path) & _OTHERS_READ:
            yield f"CDS_{name.upper()}: others can read it; make a new secret, and run chmod o= on the file"
    if settings.clients:
        keys = [client.jwks for client in clients.values() if client.jwks and "://" not in client.jwks]
        files = [settings.clients, *(settings.clients.parent / file for file in keys)]
        for path in dict.fromkeys([*files, *(file.absolute().parent for file in files)]):
            if _mode(path) & _OTHERS_WRITE and not _mode(path) & stat.S_ISVTX:  # in a sticky folder each keeps his own
                yield f"CDS_CLIENTS: {path.name}: others can write it and so become a client; run chmod go-w on it"


def _mode(path: Path) -> int:
    """0 for a file that is not there: those who read it say so."""
    return path.stat().st_mode if path.exists() else 0


def _debug() -> Iterator[str]:
    if get_debug_flag() or os.environ.get("FLASK_ENV") == "development":
        yield "FLASK_DEBUG, FLASK_ENV: ask for debug; unset them, or set CDS_DEVELOPMENT=1"
    if sys.flags.dev_mode:
        yield "PYTHONDEVMODE: asks for debug; unset it and start without -X dev, or set CDS_DEVELOPMENT=1"
