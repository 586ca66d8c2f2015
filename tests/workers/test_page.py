"""What ``docs/cluster.md`` has users write, used as it stands there."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import sys
from pathlib import Path

from distributed import Client
from distributed.security import Security

from builder.configuration import parse_settings
from tests.registries import free_port
from tests.workers.running import ROOT, environment, introduce, offers, said, until, worker

PAGE = (ROOT / "docs" / "cluster.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_settings_are_settings() -> None:
    first, second = (parse_settings(text.encode(), "tinsmith.toml").cluster for text in blocks("toml"))
    assert first.scheduler == "tcp://head:8786"
    assert second.demand == {"train": {"memory": 12000, "fast": 1}}


def test_the_examples_are_there() -> None:
    found = re.findall(r"\]\((cluster/[^)\s]+)\)", PAGE)
    assert len(found) == 4
    assert all((ROOT / "docs" / path).is_file() for path in found)


def certificates(folder: Path) -> None:
    """An authority, and one certificate of it, as ``ca.pem``, ``dask.pem`` and ``dask.key``."""
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    for name, more in (("ca", []), ("dask", ["-CA", "ca.pem", "-CAkey", "ca.key"])):
        words = ["-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem", *more]
        subprocess.run([*make, *words], cwd=folder, check=True, capture_output=True)


def answer(port: int, folder: Path, certificate: str | None) -> bytes:
    """The first bytes that the scheduler sends to a client with this certificate."""
    client = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    client.check_hostname = False
    if certificate is not None:
        client.load_cert_chain(folder / f"{certificate}.pem", folder / f"{certificate}.key")
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
        try:
            with client.wrap_socket(plain) as connection:
                return connection.recv(16)
        except (ssl.SSLError, ConnectionError):
            return b""


def test_with_certificates_only_their_owners_come_in(tmp_path: Path) -> None:
    certificates(tmp_path)
    (text,) = blocks("yaml")
    (tmp_path / "dask").mkdir()
    (tmp_path / "dask" / "tinsmith.yaml").write_text(text.replace("/etc/tinsmith", str(tmp_path)))
    port = free_port()
    address = f"tls://127.0.0.1:{port}"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--protocol", "tls", "--host", "127.0.0.1"]
    env = environment(DASK_CONFIG=str(tmp_path / "dask"))
    with (tmp_path / "scheduler.log").open("wb") as log:
        scheduler = subprocess.Popen(
            [*command, "--port", str(port), "--dashboard-address", ":0"], env=env, stdout=log, stderr=log
        )
    try:
        paths = {"tls_ca_file": "ca.pem", "tls_client_cert": "dask.pem", "tls_client_key": "dask.key"}
        security = Security(require_encryption=True, **{name: str(tmp_path / path) for name, path in paths.items()})
        with worker(tmp_path, address, DASK_CONFIG=str(tmp_path / "dask")):
            with Client(address, security=security, timeout=40) as client:
                until(lambda: offers(client), "the worker")
                told = client.submit(introduce, resources={"slots": 1}, pure=False).result(timeout=20)
                assert told["name"] == "a"
            with worker(tmp_path, address, name="b"):
                until(lambda: "again in" in said(tmp_path, "b"), "the stranger's end")
            assert f"worker b: cannot join {address}: TLS expects a `ssl_context`" in said(tmp_path, "b")
            assert "Traceback" not in said(tmp_path, "b")
            assert answer(port, tmp_path, "dask")
            assert not answer(port, tmp_path, None)
    finally:
        scheduler.kill()
        scheduler.wait()
