"""Which store an address means, and verbs that take one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from builder.digest import Digest, digest_bytes
from builder.errors import UsageError
from builder.plan.status import Statuses
from builder.plan.summary import StepLine
from builder.settings import store_cache_bytes, store_patience
from builder.store.base import StepResult
from builder.store.cached import CachedStore
from builder.store.disk import DiskStore
from builder.store.objects import ObjectStore
from builder.store.places import is_shared, open_shared, open_store
from tests.s3 import BUCKET, Server
from tests.store.places import put
from tests.store.test_shared import checkpoint


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINSMITH_CACHE", str(tmp_path / "cache"))


def test_a_path_is_a_folder_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for place in (tmp_path / "a", str(tmp_path / "a"), "relative/folder", "file:x", Path("s3://bucket")):
        assert not is_shared(place)
        assert isinstance(open_store(place), DiskStore)


@pytest.mark.parametrize("where", ["s3", "file"])
def test_a_url_is_one_store_for_all_who_have_it(s3: Server, tmp_path: Path, where: str) -> None:
    url = f"s3://{BUCKET}/places" if where == "s3" else f"file://{tmp_path}/sh%20ared"
    assert is_shared(url)
    store = open_store(url)
    assert isinstance(store, CachedStore)
    digest = store.write_bytes(b"weights")
    other = open_shared(url + "/")
    assert other.remote.read(digest) == b"weights"
    assert other.identity() == store.identity()
    assert store.local.root == tmp_path / "cache" / "store"
    if where == "file":
        assert (tmp_path / "sh ared" / "store.json").is_file()


@pytest.mark.parametrize(
    "url",
    [
        "s3://", "s3:///prefix", "s3://b", "s3://bucket//x", "s3://bucket/../x", "s3://bucket/a b", "s3://bucket/ü",
        "s3://bucket/x?y", "s3://bucket/x#y", "s3://id:secret@bucket/x", "s3://bucket/x\n", "gs://bucket/x", "file://",
        "file:///", "file://host/share", "file:///a%00b/c", "http://bucket/x", "S3X://bucket", "s3://[bucket/x",
    ],
)  # fmt: skip
def test_an_address_of_no_store_is_said(url: str) -> None:
    assert is_shared(url)
    with pytest.raises(UsageError, match="is no store") as caught:
        open_store(url)
    assert "s3://BUCKET/PREFIX" in str(caught.value.help)
    assert "secret" not in str(caught.value.help)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_SECRET_ACCESS_KEY", None), ("AWS_SECRET_ACCESS_KEY", "secret\n"), ("AWS_ACCESS_KEY_ID", "me\n"),
        ("AWS_ACCESS_KEY_ID", "mé"), ("AWS_SKIP_SIGNATURE", "maybe"), ("AWS_CONDITIONAL_PUT", "maybe"),
    ],
)  # fmt: skip
def test_settings_of_s3_that_make_no_store_are_said(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str | None
) -> None:
    for known, text in (("AWS_ACCESS_KEY_ID", "me"), ("AWS_SECRET_ACCESS_KEY", "secret")):
        monkeypatch.setenv(known, text)
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError) as caught:
        open_store("s3://bucket/x")
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("value", ["", "x", "-1", "1e3", "nan", "1" * 20])
def test_bounds_are_numbers(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TINSMITH_STORE_PATIENCE", value)
    monkeypatch.setenv("TINSMITH_STORE_CACHE_GB", value)
    if not value:
        assert (store_patience(), store_cache_bytes()) == (60.0, 20 * 10**9)
        return
    for call in (store_patience, store_cache_bytes):
        with pytest.raises(UsageError, match="no number of"):
            call()


def test_bounds_may_be_fractions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINSMITH_STORE_PATIENCE", "0.5")
    monkeypatch.setenv("TINSMITH_STORE_CACHE_GB", "1.5")
    assert (store_patience(), store_cache_bytes()) == (0.5, 1_500_000_000)


def step(name: str, key: Digest, needs: tuple[str, ...] = ()) -> StepLine:
    return StepLine(name=name, toolchain="tf1.15", key=key, needs=needs, work=0.0)


def test_a_plan_over_a_shared_store_reads_one_list(s3: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"s3://{BUCKET}/planned"
    lines = [step("ingest", digest_bytes(b"1")), step("train", digest_bytes(b"2"), ("ingest",))]
    lines += [step("export", digest_bytes(b"3"), ("train",))]
    assert set(Statuses(url).of(lines)) == {"to run: the store is empty"}
    store = open_shared(url)
    store.record(StepResult(lines[0].key, "ingest", (put(store, b"records"),), {}))
    store.save_checkpoint(lines[1].key, checkpoint(tmp_path / "out", 100))
    many = [step(f"other-{number}", digest_bytes(b"x%d" % number)) for number in range(2000)]

    def refused(*_: object) -> None:
        raise AssertionError("a request for a single result")

    monkeypatch.setattr(ObjectStore, "lookup", refused)
    found = Statuses(url)
    assert found.of(lines) == [
        "cached",
        "to run: stopped before, goes on from its last checkpoint",
        "to run: needs train",
    ]
    assert set(found.of(many)) == {"to run: no result for this key"}


def tinsmith(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from builder.cli import main; main()", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


MANIFEST = str(Path(__file__).parents[2] / "manifests" / "shapes.yaml")


def test_verbs_take_the_url(s3: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"s3://{BUCKET}/verbs"
    planned = tinsmith(tmp_path, "plan", MANIFEST, "--json", "--store", url)
    assert planned.returncode == 0, planned.stderr
    first = json.loads(planned.stdout)["steps"][0]
    assert first["status"] == "to run: the store is empty"
    store = open_shared(url)
    store.record(StepResult(Digest(first["key"]), first["name"], (), {}))
    monkeypatch.setenv("TINSMITH_STORE", url)
    assert "  cached\n" in tinsmith(tmp_path, "plan", MANIFEST).stdout
    assert tinsmith(tmp_path, "why", MANIFEST, MANIFEST).returncode == 0
    assert f"{url}, shared; up to 20 GB" in tinsmith(tmp_path, "doctor").stdout
    assert not (tmp_path / ".tinsmith").exists()
    assert not (tmp_path / "s3:").exists()


def test_a_store_that_cannot_be_is_an_exit_status(s3: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINSMITH_STORE_PATIENCE", "0.5")
    for url, status in (("s3://nobodys/x", 8), (f"file://{tmp_path}/a/b", 8), ("gs://bucket/x", 2)):
        done = tinsmith(tmp_path, "plan", MANIFEST, "--store", url)
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
    s3_url = f"s3://{BUCKET}/x"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    done = tinsmith(tmp_path, "build", MANIFEST, "--store", s3_url)
    assert done.returncode == 8, done.stderr
    assert "was away for 0.5 s" in done.stderr


def test_without_the_packages_there_is_a_way_out(tmp_path: Path) -> None:
    code = "import sys; sys.modules['obstore'] = None; from builder.cli import main; main()"
    command = [sys.executable, "-c", code, "plan", MANIFEST, "--store", "s3://bucket/x"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert "tinsmith[cluster]" in done.stderr
