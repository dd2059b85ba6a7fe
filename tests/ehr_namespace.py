"""The service in a network of its own, where private addresses are canaries: a process started by `unshare -n -m`.

Prints how many servers it was told to ask, what it answered, and how often anybody was called. Names stand in a hosts
file of this mount namespace, and are looked up by the resolver of this machine.
"""

import json
import socket
import subprocess
import sys
from pathlib import Path
from threading import Thread

from cds_content.loading import load
from cds_service import fetch
from cds_service.clients import DEVELOPMENT, Client
from cds_service.store import open_store
from cds_service.web import Deployment, create_app
from tests.conftest import SERVICE
from tests.ehr import PATIENCE, ROOT, fetching

CANARIES = ("169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "198.18.0.1")
CANARIES_IPV6 = ("fd00::1", "fd00:ec2::254", "64:ff9b::a9fe:a9fe", "2002:a00:1::1")
SPELLED = ("127.0.0.1", "[::1]", "0.0.0.0", "localhost")  # noqa: S104 - nothing is bound to it
AGREED = ("10.0.0.1", "192.168.0.1", "[fd00::1]")
HEARD: list[str] = []


def _network(folder: Path) -> list[str]:
    """Puts the addresses on this machine, and a name for each in its hosts file; gives the names."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in (*CANARIES, *CANARIES_IPV6):
        wide = "128" if ":" in address else "32"
        nodad = ["nodad"] if ":" in address else []
        subprocess.run(["ip", "addr", "add", f"{address}/{wide}", "dev", "lo", *nodad], check=True)
    names = {f"canary-{number}.example": address for number, address in enumerate((*CANARIES, *CANARIES_IPV6))}
    (folder / "hosts").write_text("".join(f"{address} {name}\n" for name, address in names.items()))
    subprocess.run(["mount", "--bind", str(folder / "hosts"), "/etc/hosts"], check=True)
    return list(names)


def _listen(family: socket.AddressFamily, address: str) -> int:
    canary = socket.create_server((address, 0 if family == socket.AF_INET else _PORTS[0]), family=family, backlog=100)
    Thread(target=_hear, args=(canary,), daemon=True).start()
    port: int = canary.getsockname()[1]
    _PORTS.append(port)
    return port


_PORTS: list[int] = []


def _hear(canary: socket.socket) -> None:
    while True:
        line, _ = canary.accept()
        HEARD.append(str(line.getsockname()[0]))
        line.close()


def run(folder: Path) -> None:
    fetch.BUDGET = PATIENCE
    names = _network(folder)
    port = _listen(socket.AF_INET, "0.0.0.0")  # noqa: S104 - in a network of its own
    _listen(socket.AF_INET6, "::")
    hosts = [*CANARIES, *(f"[{one}]" for one in CANARIES_IPV6), *SPELLED, *names]
    bases = [f"http://{host}:{port}/fhir" for host in hosts]
    store = open_store(f"sqlite:///{folder / 'store.sqlite'}")

    def answers(asked: list[str], *, private: bool) -> list[int]:
        clients = {DEVELOPMENT: Client(fhir_servers=tuple(asked), private_addresses=private)}
        app = create_app(
            Deployment(tuple(load(ROOT)), store, "http://127.0.0.1:8080", development=True, clients=clients)
        )
        client = app.test_client()
        return [client.post(SERVICE, json=fetching(base)).status_code for base in asked]

    refused = answers(bases, private=False)
    strangers = len(HEARD)
    answers([f"http://{host}:{port}/fhir" for host in (*AGREED, "169.254.169.254", "100.64.0.1")], private=True)
    told = {
        "asked": len(bases),
        "answers": sorted(set(refused)),
        "strangers": strangers,
        "where agreed": sorted(set(HEARD)),
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    run(Path(sys.argv[1]))
