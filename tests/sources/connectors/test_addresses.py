"""Where a source may make us talk to: hostile spellings, names that lead inside, names that change their mind."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pytest_httpserver import HTTPServer
from werkzeug import Response

from portal.failures import TerminalError, TransientError
from sources.connectors import guarded_http
from sources.connectors.addresses import ALLOWED_HOSTS, Guard, canonical_host, guarding
from sources.connectors.http import ApiClient

PUBLIC = "93.184.215.14"


class Names:
    """A name server: each look-up takes the next answer, the last one stays."""

    def __init__(self, *answers: str | tuple[str, ...], port: int | None = None) -> None:
        self.answers = list(answers)
        self.port = port
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        addresses = (answer,) if isinstance(answer, str) else answer
        family = guarded_http.socket.AF_INET
        return [(family, 1, 6, "", (address, self.port or port)) for address in addresses]


def client(url: str, guard: Guard, **options: Any) -> ApiClient:
    return ApiClient("Acme", url, {}, unauthorized="The key is wrong.", guard=guard, tries=1, **options)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://127.0.0.1.:80/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "http://0/",
        "http://0.0.0.0/",
        "http://localhost/",
        "http://LOCALHOST./",
        "http://10.0.0.5/",
        "http://172.16.0.1/",
        "http://192.168.1.1/",
        "http://100.64.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://100.100.100.200/",
        "http://168.63.129.16/",
        "http://224.0.0.1/",
        "http://240.0.0.1/",
        "http://255.255.255.255/",
        "http://198.18.0.1/",
        "http://[::1]/",
        "http://[::]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://[::127.0.0.1]/",
        "http://[2002:7f00:1::]/",
        "http://[64:ff9b::a00:1]/",
        "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/",
        "http://[fc00::1]/",
        "http://[fd00:ec2::254]/",
        "http://[fe80::1%25lo]/",
        "http://[fec0::1]/",
        "http://[ff02::1]/",
        "http://example.com@127.0.0.1/",
        "http://127.0.0.1@example.com/",
        "http://user:pass@example.com/",
        "http://example.com\\@127.0.0.1/",
        "http://example.com:99999/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http:///etc/passwd",
    ],
)
def test_hostile_addresses_are_refused_before_anything_is_sent(url, monkeypatch):
    def never(*_: Any) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(guarded_http.socket.socket, "connect", never)
    with pytest.raises(TerminalError) as failure:
        client(url, Guard()).get(url)
    assert failure.value.kind in {"address", "settings"}


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "0.0.0.0", "100.64.9.9"])
def test_a_name_that_leads_inside_is_refused(address):
    names = Names(address)
    with pytest.raises(TerminalError) as failure:
        client("https://innocent.example.com", Guard(resolve=names)).get("x")
    assert "“innocent.example.com” is" in failure.value.sentence
    assert names.asked == ["innocent.example.com"]


def test_one_address_inside_among_several_is_enough_to_refuse():
    with pytest.raises(TerminalError):
        Guard(resolve=Names((PUBLIC, "10.0.0.1"))).addresses("mixed.example.com", 443)


def test_public_addresses_are_allowed():
    for host in (PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e"):
        Guard().check_host(host, 443)
    assert Guard(resolve=Names(PUBLIC)).addresses("example.com", 443)[0][1] == (PUBLIC, 443)


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch):
    """The name answers differently each time; there is no second look-up between the check and the connection."""
    names = Names(PUBLIC, "127.0.0.1")
    went_to: list[Any] = []

    def connect(_: Any, address: Any) -> None:
        went_to.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(guarded_http.socket.socket, "connect", connect)
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("looked up behind the guard's back"))
    with pytest.raises(TransientError):
        client("http://rebind.example.com", Guard(resolve=names)).get("x")
    assert went_to == [(PUBLIC, 80)]
    with pytest.raises(TerminalError) as failure:
        client("http://rebind.example.com", Guard(resolve=names)).get("x")
    assert failure.value.kind == "address"
    assert went_to == [(PUBLIC, 80)]


def test_an_allowed_name_is_reached_under_its_name(httpserver: HTTPServer):
    httpserver.expect_request("/x").respond_with_handler(lambda request: Response(f'"{request.host}"'))
    guard = Guard(["crm.internal"], resolve=Names("127.0.0.1", port=httpserver.port))
    assert client("http://crm.internal", guard).get("x").body == "crm.internal"


@pytest.mark.parametrize(
    ("allowed", "host", "address", "fine"),
    [
        ("crm.internal", "CRM.internal.", "10.0.0.5", True),
        ("crm.internal:8443", "crm.internal", "10.0.0.5", False),  # asked on port 443
        ("crm.internal:443", "crm.internal", "10.0.0.5", True),
        ("crm.internal", "evil.crm.internal", "10.0.0.5", False),
        ("10.0.0.5", "crm.internal", "10.0.0.5", False),  # an address says nothing of names that lead there
        ("10.0.0.5", "10.0.0.5", "10.0.0.5", True),
        ("10.0.0.5", "10.0.0.6", "10.0.0.6", False),
        ("crm.internal", "crm.internal", "169.254.169.254", False),  # metadata: never by name
        ("crm.internal", "crm.internal", "0.0.0.0", False),
        ("[fd00::5]:443", "fd00::5", "fd00::5", True),
        ("fd00::5", "fd00::5", "fd00::5", True),
    ],
)
def test_what_an_admin_allows_is_exactly_that(allowed, host, address, fine):
    guard = Guard([allowed], resolve=Names(address))
    if fine:
        guard.addresses(host, 443)
    else:
        with pytest.raises(TerminalError):
            guard.addresses(host, 443)


def test_a_redirect_inside_is_not_followed(httpserver: HTTPServer):
    inside = f"http://127.0.0.1:{httpserver.port}/secret"
    httpserver.expect_request("/x").respond_with_response(Response(status=302, headers={"Location": inside}))
    httpserver.expect_request("/secret").respond_with_json({"key": "value"})
    guard = Guard(["crm.internal"], resolve=Names("127.0.0.1", port=httpserver.port))
    with pytest.raises(TerminalError) as failure:
        client("http://crm.internal", guard).get("x")
    assert failure.value.kind == "redirect"
    assert [request.path for request, _ in httpserver.log] == ["/x"]


def test_every_connection_of_a_sync_is_checked_again(httpserver: HTTPServer):
    """The same host, after a redirect, on a connection of its own: the name now leads elsewhere."""
    gone = Response(status=302, headers={"Location": "/y", "Connection": "close"})
    httpserver.expect_request("/x").respond_with_response(gone)
    guard = Guard(["crm.internal"], resolve=Names("127.0.0.1", "169.254.169.254", port=httpserver.port))
    with pytest.raises(TerminalError) as failure:
        client("http://crm.internal", guard).get("x")
    assert failure.value.kind == "address"


def test_within_a_sync_every_client_keeps_to_the_list(httpserver: HTTPServer):
    httpserver.expect_request("/x").respond_with_json(1)
    url = httpserver.url_for("/")
    with guarding({ALLOWED_HOSTS: []}), pytest.raises(TerminalError) as failure:
        ApiClient("Acme", url, {}, unauthorized="").get("x")
    assert "An administrator of this portal can allow it" in failure.value.sentence
    with guarding({ALLOWED_HOSTS: [httpserver.host]}):
        assert ApiClient("Acme", url, {}, unauthorized="").get("x").body == 1


def test_behind_a_proxy_names_are_checked_before_the_proxy_is_asked(httpserver: HTTPServer, monkeypatch):
    monkeypatch.setenv("http_proxy", httpserver.url_for("/"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(TerminalError):
        client("http://inside.example.com", Guard(resolve=Names("10.0.0.1"))).get("x")
    assert httpserver.log == []


def test_the_certificate_must_still_be_the_names_own(tmp_path: Path, monkeypatch):
    context, authority = _certificate(tmp_path, "api.example.com")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    with HTTPServer(ssl_context=context) as server:
        server.expect_request("/x").respond_with_json({"ok": True})
        names = Names("127.0.0.1", port=server.port)
        good = Guard(["api.example.com", "other.example.com"], resolve=names)
        assert client("https://api.example.com", good).get("x").body == {"ok": True}
        with pytest.raises(TerminalError) as failure:
            client("https://other.example.com", good).get("x")
    assert failure.value.kind == "tls"


def test_hosts_are_kept_in_one_spelling():
    assert canonical_host(" CRM.Internal. ") == "crm.internal"
    assert canonical_host("[FD00::0005]") == "fd00::5"
    for wrong in ("", "http://crm", "crm/x", "a b", "0x7f.1", "*.internal", "user@crm"):
        with pytest.raises(ValueError):
            canonical_host(wrong)


def _certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """A server context for `name`, and the authority that vouches for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, public
