"""Samples for outbound.yaml: each rule finds the lines that say so, and no other."""

# ok: call-from-elsewhere
import ssl

# ruleid: call-from-elsewhere
import urllib.request

import jwt

# ruleid: call-from-elsewhere
import requests

# ruleid: call-from-elsewhere
from urllib3.connection import HTTPConnection

# ruleid: call-without-timeout, environment-trusted
requests.get("https://ehr.example", allow_redirects=False)
# ruleid: call-that-follows-redirects, environment-trusted
requests.post("https://ehr.example", timeout=1)
# ruleid: environment-trusted
requests.get("https://ehr.example", timeout=1, allow_redirects=False)
# ruleid: certificate-not-checked, environment-trusted
requests.get("https://ehr.example", timeout=1, allow_redirects=False, verify=False)


def as_it_should_be(prepared: requests.PreparedRequest) -> None:
    # ok: environment-trusted
    session = requests.Session()
    session.trust_env = False
    # ok: call-without-timeout, call-that-follows-redirects, certificate-not-checked
    session.send(prepared, timeout=1, allow_redirects=False)


def as_it_should_not_be(prepared: requests.PreparedRequest) -> None:
    # ruleid: environment-trusted
    session = requests.Session()
    # ruleid: certificate-not-checked
    session.verify = False
    # ruleid: call-without-timeout, call-that-follows-redirects
    session.send(prepared)


def certificates() -> None:
    # ok: certificate-not-checked
    context = ssl.create_default_context()
    # ruleid: certificate-not-checked
    context.check_hostname = False
    # ruleid: certificate-not-checked
    context.verify_mode = ssl.CERT_NONE
    # ruleid: certificate-not-checked
    ssl._create_unverified_context()


def keys() -> None:
    # ruleid: keys-fetched-by-a-library
    jwt.PyJWKClient("https://ehr.example/jwks.json")
    # ruleid: keys-fetched-by-a-library
    urllib.request.urlopen("https://ehr.example/jwks.json")
    # ok: keys-fetched-by-a-library
    ehr.get("https://ehr.example/jwks.json", {}, until)
