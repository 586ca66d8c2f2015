"""Releases to a real registry and back: docker-registry, with passwords and with tokens; skopeo beside it."""

from __future__ import annotations

import base64
import json
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from builder.cli import main
from builder.digest import digest_bytes
from builder.errors import IntegrityError, StoreUnreachable, TinsmithError
from builder.registry import wire
from builder.registry.client import Registry
from builder.registry.credentials import Credentials, anonymous
from builder.registry.offer import offer_in
from builder.registry.pull import fetching, find, into_layout
from builder.registry.push import push
from builder.registry.reference import Remote, parse_reference
from builder.registry.wire import Limits
from builder.release.document import referrers_tag
from builder.release.layout import Layout
from builder.release.release import Release
from tests.registries import PROVENANCE, Running, contents, release_in, required, running
from tests.stress.faults import Faults

QUICK = Limits(first_wait=0.001, longest_wait=0.3)


def ignore(kind: str, detail: Any) -> None:
    pass


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    required("docker-registry")
    with running(tmp_path_factory.mktemp("registry")) as found:
        yield found


Cli = Callable[..., "Done"]


@dataclass(frozen=True)
class Done:
    stdout: str
    stderr: str


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """``project("push", "raccoon", "./mirror", status=0)``: the command line in a folder with three releases.

    Nothing of this machine's logins or cache is used, and waiting takes no time.
    """
    monkeypatch.setattr(wire, "pause", lambda seconds, stopped: stopped.wait(min(seconds, 0.1)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINSMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("TINSMITH_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    layout = Layout(tmp_path / "releases")
    for version in ("1.2.0", "1.10.0", "2.0.0-rc.1"):
        release_in(layout, version)

    def run(*words: str, status: int = 0) -> Done:
        # What is trusted has tests of its own: test_trusted_registry.py.
        unsigned = ["--allow-unsigned"] if words[0] == "pull" else []
        monkeypatch.setattr(sys, "argv", ["tinsmith", *words, *unsigned])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        done = Done(*capsys.readouterr())
        assert (caught.value.code or 0) == status, done
        return done

    return run


def client(registry: Running, **more: Any) -> Registry:
    return Registry(registry.host, **{"lookup": anonymous, "limits": QUICK, **more})


def pushed(registry: Running, layout: Layout, release: Release, repository: str, **more: Any) -> None:
    with client(registry, **more) as asked:
        push(layout, offer_in(layout, release), Remote(registry.host, repository, release.version), asked, ignore)


def pulled(registry: Running, reference: str, folder: Path, **more: Any) -> Layout:
    remote = parse_reference(f"{registry.host}/{reference}")
    assert isinstance(remote, Remote)
    with client(registry, **more) as asked:
        offer = find(asked, remote)
        with fetching(asked, remote.repository, folder / "parts", ignore) as fetch:
            into_layout(offer, Layout(folder / "back"), fetch)
    return Layout(folder / "back")


def test_the_command_line_pushes_and_pulls(project: Cli, registry: Running, tmp_path: Path) -> None:
    place = f"{registry.host}/cli/raccoon"
    for version in ("1.2.0", "1.10.0", "2.0.0-rc.1"):
        done = project("push", f"raccoon@{version}", place)
        digest = Layout(tmp_path / "releases").find(f"raccoon@{version}").digest
        assert done.stdout == f"{place}:{version}@{digest}\n"
    project("push", "raccoon@^1", f"{place}:1.10.0")  # again: nothing to do

    for asked, version in (
        (place, "1.10.0"),
        (f"{place}@^1.2", "1.10.0"),
        (f"{place}@~1.2", "1.2.0"),
        (f"{place}:2.0.0-rc.1", "2.0.0-rc.1"),
    ):
        assert project("pull", asked, "--releases", "elsewhere").stdout.startswith(f"raccoon@{version}  sha256:")
    assert contents(Layout(tmp_path / "elsewhere")) == contents(Layout(tmp_path / "releases"))

    written = project("pull", f"{place}@{digest}", "app/models/raccoon").stdout.splitlines()
    release = Layout(tmp_path / "releases").find(digest)
    assert written == [f"app/models/raccoon/{title}" for title in sorted(release.files)]
    assert {digest_bytes((tmp_path / path).read_bytes()) for path in written} == {
        file[0] for file in release.files.values()
    }
    project("pull", f"{place}@^1.2", "small", "--only", "model")
    assert sorted(path.name for path in (tmp_path / "small").iterdir()) == [
        "labels.txt",
        "metadata.json",
        "model.tflite",
    ]
    assert [path.name for path in (tmp_path / "cache" / "downloads").iterdir()] == []


def test_the_command_line_pulls_from_folders_and_finds_variants(project: Cli, tmp_path: Path) -> None:
    project("push", "raccoon@1.10.0", "./mirror")
    project("pull", "./mirror", "--releases", "elsewhere")
    assert contents(Layout(tmp_path / "mirror")) == contents(Layout(tmp_path / "elsewhere"))
    assert list(contents(Layout(tmp_path / "mirror"))) == ["raccoon@1.10.0"]
    release_in(Layout(tmp_path / "releases"), "1.3.0", name="raccoon-int8")
    project("pull", "raccoon@^1.2", "app", "--variant", "int8", "--only", "model")
    found = Layout(tmp_path / "releases")
    expected = found.read(found.find("raccoon-int8@1.3.0"), "model.tflite")
    assert (tmp_path / "app" / "model.tflite").read_bytes() == expected


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["push", "cat", "HOST/x/cat"], 2, "raccoon@1.2.0"),
        (["push", "raccoon@1.2.0", "HOST/x/raccoon:1.0.0"], 2, "a tag is the version"),
        (["push", "raccoon@1.2.0", "HOST/x/raccoon@^1"], 2, "not to a range"),
        (["push", "raccoon@1.2.0", "somewhere"], 2, "no host"),
        (["push", "raccoon@1.2.0", "localhost:1/x/raccoon"], 8, "connection refused"),
        (["pull", "HOST/x/nothing", "app"], 8, "versions there: none"),
        (["pull", "HOST/x/nothing:1.0.0", "app"], 8, "versions there: none"),
        (["pull", "raccoon@^7", "app"], 2, "raccoon@1.10.0"),
        (["pull", "raccoon@1.2.0"], 2, "say the folder"),
        (["pull", "HOST/x/nothing", "app", "--only", "labels"], 2, "model"),
    ],
    ids=str,
)
def test_a_mistake_is_one_error(
    project: Cli, registry: Running, tmp_path: Path, words: list[str], status: int, says: str
) -> None:
    done = project(*(word.replace("HOST", registry.host) for word in words), "--progress", "quiet", status=status)
    assert says in done.stderr and done.stderr.startswith("error[")
    assert not (tmp_path / "app").exists()


def test_a_version_that_is_there_is_never_replaced(registry: Running, tmp_path: Path) -> None:
    layout, other = Layout(tmp_path / "a"), Layout(tmp_path / "b")
    release = release_in(layout)
    pushed(registry, layout, release, "once/raccoon")
    with pytest.raises(IntegrityError) as caught:
        pushed(registry, other, release_in(other, seed=2), "once/raccoon")
    assert (caught.value.code, caught.value.exit_status) == ("immutable", 7)
    assert contents(pulled(registry, "once/raccoon:1.0.0", tmp_path)) == contents(layout)
    # Nor in a layout.
    pushed(registry, other, other.releases()[0], "twice/raccoon")
    with pytest.raises(IntegrityError):
        pulled(registry, "twice/raccoon:1.0.0", tmp_path)
    assert contents(Layout(tmp_path / "back")) == contents(layout)


def test_a_version_under_another_tag_is_refused(registry: Running, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "a")
    release = release_in(layout)
    pushed(registry, layout, release, "moved/raccoon")
    with client(registry) as asked:
        asked.put_manifest(
            "moved/raccoon", "1.1.0", offer_in(layout, release).manifest, "application/vnd.oci.image.manifest.v1+json"
        )
    with pytest.raises(IntegrityError):
        pulled(registry, "moved/raccoon:1.1.0", tmp_path)


def test_attachments_of_several_pushes_come_together(registry: Running, tmp_path: Path) -> None:
    layout, other = Layout(tmp_path / "a"), Layout(tmp_path / "b")
    release, same = release_in(layout, attachments=1), release_in(other, attachments=1)
    layout.attach(release, PROVENANCE, "signed-by-a.json", b"a")
    other.attach(same, PROVENANCE, "signed-by-b.json", b"b")
    errors: list[BaseException] = []

    def at_once(source: Layout) -> None:
        try:
            pushed(registry, source, source.releases()[0], "shared/raccoon")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=at_once, args=(source,)) for source in (layout, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    back = pulled(registry, "shared/raccoon", tmp_path)
    assert sorted(item.title for item in back.attachments(back.releases()[0])) == [
        "run.json",
        "signed-by-a.json",
        "signed-by-b.json",
    ]


# Passwords and tokens


def with_password(folder: Path) -> dict[str, Any]:
    made = subprocess.run(["htpasswd", "-Bbn", "ann", "pass:word"], capture_output=True, text=True, check=True)
    (folder / "users").write_text(made.stdout.strip() + "\n")
    return {"htpasswd": {"realm": "tests", "path": str(folder / "users")}}


def test_a_registry_that_wants_a_password(tmp_path: Path, project: Cli) -> None:
    required("docker-registry", "htpasswd")
    with running(tmp_path, with_password(tmp_path)) as registry:
        place = f"{registry.host}/models/raccoon"
        refused = project("push", "raccoon@1.2.0", place, status=8)
        assert f"docker login {registry.host}" in refused.stderr
        login = tmp_path / "docker" / "config.json"
        login.parent.mkdir()
        for secret, status in (("wrong", 8), ("pass:word", 0)):
            auth = base64.b64encode(f"ann:{secret}".encode()).decode()
            login.write_text(json.dumps({"auths": {registry.host: {"auth": auth}}}))
            done = project("push", "raccoon@1.2.0", place, status=status)
            assert secret not in done.stderr + done.stdout
        project("pull", place, "app")
        login.unlink()
        assert "login" in project("pull", place, "elsewhere", status=8).stderr


def test_a_credential_helper_is_asked(tmp_path: Path, project: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    required("docker-registry", "htpasswd")
    with running(tmp_path, with_password(tmp_path)) as registry:
        helper = tmp_path / "bin" / "docker-credential-tests"
        helper.parent.mkdir()
        answer = json.dumps({"ServerURL": registry.host, "Username": "ann", "Secret": "pass:word"})
        helper.write_text(f'#!/bin/sh\nread key\n[ "$1 $key" = "get {registry.host}" ] && echo \'{answer}\'\n')
        helper.chmod(0o755)
        monkeypatch.setenv("PATH", f"{helper.parent}:/usr/bin:/bin")
        (tmp_path / "docker").mkdir()
        (tmp_path / "docker" / "config.json").write_text(json.dumps({"credHelpers": {registry.host: "tests"}}))
        project("push", "raccoon@1.2.0", f"{registry.host}/models/raccoon")
        project("pull", f"{registry.host}/models/raccoon", "app")


class Tokens:
    """Gives docker-registry's RS256 tokens, which it checks with ``certificate``. ``asked``: scopes and users."""

    def __init__(self, folder: Path) -> None:
        key, self.certificate = folder / "key.pem", folder / "certificate.pem"
        subject = ["-subj", "/CN=tests", "-days", "2"]
        made = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            str(key),
            "-out",
            str(self.certificate),
        ]
        subprocess.run([*made, *subject], capture_output=True, check=True)
        self.asked: list[tuple[str, str | None]] = []
        self.key, self.seconds = key, 300
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                scope = parse_qs(urlsplit(self.path).query)["scope"][0]
                outer.asked.append((scope, self.headers.get("Authorization")))
                known = self.headers.get("Authorization") == Credentials("ann", "secret").basic
                data = json.dumps({"token": outer.token(scope), "expires_in": outer.seconds}).encode()
                self.send_response(200 if known else 401)
                self.send_header("Content-Length", str(len(data) if known else 0))
                self.end_headers()
                self.wfile.write(data if known else b"")

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/token"

    def token(self, scope: str) -> str:
        _, name, actions = scope.split(":")
        der = subprocess.run(
            ["openssl", "x509", "-in", str(self.certificate), "-outform", "der"], capture_output=True, check=True
        )
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der.stdout).decode()]}
        access = [{"type": "repository", "name": name, "actions": actions.split(",")}]
        claims = {
            "iss": "tests",
            "sub": "ann",
            "aud": "registry",
            "exp": 4_000_000_000,
            "nbf": 0,
            "iat": 0,
            "access": access,
        }
        signed = ".".join(_plain(json.dumps(part).encode()) for part in (header, claims))
        made = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", str(self.key)],
            input=signed.encode(),
            capture_output=True,
            check=True,
        )
        return f"{signed}.{_plain(made.stdout)}"


def _plain(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def test_a_registry_that_wants_tokens(tmp_path: Path) -> None:
    required("docker-registry", "openssl")
    tokens = Tokens(tmp_path)
    auth = {"realm": tokens.url, "service": "registry", "issuer": "tests", "rootcertbundle": str(tokens.certificate)}
    layout = Layout(tmp_path / "releases")
    release = release_in(layout)
    try:
        with running(tmp_path, {"token": auth}) as registry:
            ann: Callable[[str], Credentials] = lambda host: Credentials("ann", "secret")  # noqa: E731
            pushed(registry, layout, release, "models/raccoon", lookup=ann)
            # Reading comes first, then writing; a token each, for all blobs together.
            assert [scope for scope, _ in tokens.asked] == [
                "repository:models/raccoon:pull",
                "repository:models/raccoon:pull,push",
            ]
            assert contents(pulled(registry, "models/raccoon@^1", tmp_path, lookup=ann)) == contents(layout)
            for lookup in (anonymous, lambda host: Credentials("ann", "wrong")):
                with pytest.raises(StoreUnreachable) as caught:
                    pulled(registry, "models/raccoon", tmp_path, lookup=lookup)
                assert "login" in caught.value.message
    finally:
        tokens.http.shutdown()
        tokens.http.server_close()


# What a registry's disk may do to a release


def test_a_file_of_the_registry_that_is_damaged_is_never_believed(tmp_path: Path) -> None:
    """Cut, changed and appended to: every file of its storage. Pulled whole and right, or refused."""
    required("docker-registry")
    layout = Layout(tmp_path / "releases")
    release, _ = layout.add("raccoon", "1.0.0", {"model.tflite": b"TFL3" * 5000, "labels.txt": b"raccoon\n"}, {})
    layout.attach(release, PROVENANCE, "provenance.json", b'{"payload":""}')
    expected = contents(layout)
    chance = random.Random(7)
    results = set()
    with running(tmp_path) as registry:
        pushed(registry, layout, release, "models/raccoon")
        files = registry.files()
        assert len(files) == 20
        for path in files:
            data = path.read_bytes()
            place = chance.randrange(len(data))
            flipped = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            for damaged in (data[:place], flipped, data + b"\n"):
                path.write_bytes(damaged)
                shutil.rmtree(tmp_path / "back", ignore_errors=True)
                shutil.rmtree(tmp_path / "parts", ignore_errors=True)
                try:
                    back = contents(pulled(registry, "models/raccoon:1.0.0", tmp_path))
                    results.add("right")
                    # The registry reads links by their first 71 bytes, and some of its files never.
                    assert back == expected, path
                except (IntegrityError, StoreUnreachable) as error:
                    results.add(str(error.exit_status))
                    assert not (tmp_path / "back").exists()
            path.write_bytes(data)
    assert results == {"right", "7", "8"}


def test_a_blob_of_the_right_size_and_wrong_bytes_is_refused(tmp_path: Path) -> None:
    required("docker-registry")
    layout = Layout(tmp_path / "releases")
    release = release_in(layout)
    with running(tmp_path) as registry:
        pushed(registry, layout, release, "models/raccoon")
        for digest, size in [*release.files.values(), (release.digest, release.size)]:
            path = registry.blobs / "sha256" / digest[7:9] / digest[7:] / "data"
            data = path.read_bytes()
            assert len(data) == size
            path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
            shutil.rmtree(tmp_path / "parts", ignore_errors=True)
            with pytest.raises(TinsmithError) as caught:
                pulled(registry, "models/raccoon", tmp_path)
            # A manifest that is no longer one is the registry's own error.
            assert caught.value.exit_status in ((7, 8) if digest == release.digest else (7,))
            path.write_bytes(data)
        # A link of a tag to another manifest that is there: an attachment is no release.
        tag = registry.storage / "docker/registry/v2/repositories/models/raccoon/_manifests/tags/1.0.0/current/link"
        tag.write_text(layout.attachments(release)[0].manifest)
        with pytest.raises(IntegrityError):
            pulled(registry, "models/raccoon:1.0.0", tmp_path)


# Other tools


def test_skopeo_mirrors_a_release_with_what_is_attached(registry: Running, tmp_path: Path) -> None:
    required("docker-registry", "skopeo")
    layout = Layout(tmp_path / "releases")
    release = release_in(layout)
    pushed(registry, layout, release, "models/raccoon")
    tag = referrers_tag(release.digest)

    def copy(source: str, target: str) -> None:
        plain = ["--src-tls-verify=false", "--dest-tls-verify=false"]
        subprocess.run(
            ["skopeo", "--insecure-policy", "copy", "--all", *plain, source, target],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    place = f"docker://{registry.host}"
    copy(f"{place}/models/raccoon:1.0.0", f"oci:{tmp_path}/mirror:raccoon:1.0.0")
    copy(f"{place}/models/raccoon:{tag}", f"oci:{tmp_path}/mirror:{tag}")
    assert contents(Layout(tmp_path / "mirror")) == contents(layout)
    copy(f"oci:{tmp_path}/mirror:raccoon:1.0.0", f"{place}/mirrored/raccoon:1.0.0")
    copy(f"oci:{tmp_path}/mirror:{tag}", f"{place}/mirrored/raccoon:{tag}")
    assert contents(pulled(registry, "mirrored/raccoon@^1", tmp_path)) == contents(layout)


def test_pulls_and_pushes_with_faults(registry: Running, tmp_path: Path) -> None:
    """See tests/stress/faults.py, which runs more of them."""
    faults = Faults(tmp_path, registry)
    outcomes = [outcome for number in range(6) for outcome in faults.run(number, 500 + number)]
    assert [outcome for outcome in outcomes if outcome.wrong] == []
    assert {"done", "exit 8"} <= {outcome.result for outcome in outcomes}
