"""The commands of docs/trust.md, run one after the other in a project with one release, and what can go wrong."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from builder.cli.app import app
from builder.configuration import parse_settings
from builder.errors import TinsmithError
from builder.release.layout import Layout
from builder.release.sign import attach_provenance
from builder.release.verify import verify_release
from builder.release.versions import LayoutIndex
from builder.trust.index import open_index, seal, written
from builder.trust.keys import load_public, load_signing
from builder.trust.policy import Policy
from tests.trust.recipes import ROOT, made

PAGE = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    it = made("shapes", folder / "releases")
    attach_provenance(it.layout, it.release, it.statement, None)
    return folder


@pytest.fixture
def project(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, whose user has no settings and no memory."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for name in ("TINSMITH_KEY", "TINSMITH_KEY_PASSPHRASE", "TINSMITH_RELEASES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TINSMITH_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("sys.stdin", io.StringIO())
    return tmp_path


def tinsmith(words: str) -> None:
    app(words.split(), standalone_mode=False)


def test_the_page_end_to_end(project: Path) -> None:
    key, *rest = blocks("sh")
    function = f'tinsmith() {{ "{sys.executable}" -c "from builder.cli import main; main()" "$@"; }}'
    rule = """printf '[[trust]]\\nnames = ["shapes"]\\nkeys = ["keys/team.pub"]\\n' > tinsmith.toml"""
    script = "\n".join([function, "set -euo pipefail", key, rule, *rest])
    done = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Signature Verified Successfully" in done.stdout
    assert done.stdout.count(": OK") == 1
    public = load_public((project / "keys" / "team.pub").read_bytes(), "it")
    assert f"signed by {public.id}" in done.stdout
    assert f"{public.id}  -" in done.stdout
    assert done.stdout.count("shapes  number 1, holds until") == 2


def test_the_settings_of_the_page_are_read() -> None:
    sign, trust = blocks("toml")
    assert parse_settings(sign.encode(), "x").sign.key == "keys/team.key"
    (rule,) = parse_settings(trust.encode(), "x").trust
    assert (rule.threshold, rule.index_keys) == (1, ["keys/ci.pub"])


def test_every_code_of_the_page_is_one_that_is_raised() -> None:
    table = PAGE.partition("| attack |")[2].partition("\n\n")[0]
    codes = {code for line in table.splitlines() for code in re.findall(r"`([a-z-]+)`", line.split("|")[-2])}
    files = [*(ROOT / "builder" / "trust").glob("*.py"), ROOT / "builder" / "rebuild" / "agreement.py"]
    source = "".join(path.read_text() for path in files)
    assert codes >= {"rollback", "expired", "wrong-key"}
    assert {code for code in codes if f'code="{code}"' not in source} == {"integrity"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("sign shapes", "no key to sign with"),
        ("sign shapes --key absent.key", "absent.key"),
        ("sign shapes --key keys/team.pub", "not a private key"),
        ("sign shapes --key keys/team.key", "TINSMITH_KEY_PASSPHRASE"),
        ("key new team -o keys", "there already"),
        ("key show tinsmith.toml", "not a public key"),
        ("index show shapes", "no signed index"),
        ("index show ./mirror", "names no repository of releases"),
        ("index renew shapes --key open.key", "tinsmith sign shapes"),
        ("index revoke shapes 9.9.9 --reason x --key open.key", "9.9.9"),
    ],
)
def test_mistakes_are_told_with_a_way_out(
    project: Path, monkeypatch: pytest.MonkeyPatch, words: str, says: str
) -> None:
    tinsmith("key new open")
    monkeypatch.setenv("TINSMITH_KEY_PASSPHRASE", "sesame")
    tinsmith("key new team -o keys")
    monkeypatch.delenv("TINSMITH_KEY_PASSPHRASE")
    (project / "tinsmith.toml").write_text('[[trust]]\nnames = ["shapes"]\nkeys = ["keys/team.pub"]\n')
    with pytest.raises(TinsmithError) as caught:
        tinsmith(words)
    assert caught.value.exit_status == 2
    assert says in f"{caught.value.message} {caught.value.help}"


def test_an_expired_index_is_told_and_must_be_renewed_by_hand(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import datetime

    tinsmith("key new team -o keys")
    tinsmith("key new other -o keys")
    (project / "tinsmith.toml").write_text('[[trust]]\nnames = ["shapes"]\nkeys = ["keys/team.pub"]\n')
    tinsmith("sign shapes --key keys/team.key")
    tinsmith("index renew shapes --key keys/team.key --expires 1")
    place = LayoutIndex(Layout(project / "releases"), "shapes")
    then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=9)
    index = open_index(place.read() or b"", (load_public(Path("keys/team.pub").read_bytes(), "team"),)).index
    old = index.model_copy(
        update={"serial": 4, "issued": written(then), "expires": written(then + datetime.timedelta(days=1))}
    )
    place.write(seal(old, load_signing(Path("keys/team.key").read_bytes(), "team", lambda: None)))
    tinsmith("index show shapes")
    assert "EXPIRED" in capsys.readouterr().out
    revoke = "index revoke shapes 1.0.0 --reason bad --key keys/team.key"
    for words, code in ((revoke, "expired"), ("index renew shapes --key keys/team.key --at-least 5", "rollback")):
        with pytest.raises(TinsmithError) as caught:
            tinsmith(words)
        assert (caught.value.exit_status, caught.value.code) == (7, code)
    tinsmith("index renew shapes --key keys/team.key --at-least 4")
    tinsmith(revoke)
    (project / "config" / "tinsmith").mkdir(parents=True)
    rule = f'[[trust]]\nnames = ["*"]\nkeys = ["{project}/keys/other.pub"]\n'
    (project / "config" / "tinsmith" / "tinsmith.toml").write_text(rule)
    with pytest.raises(TinsmithError) as caught:
        tinsmith("index show shapes")
    assert caught.value.code == "wrong-key"


def test_another_folder_is_not_believed_because_a_flag_names_it(project: Path) -> None:
    shutil.copytree("releases", "mirror")
    with pytest.raises(TinsmithError) as caught:
        tinsmith("pull shapes out --releases mirror")
    assert caught.value.code == "untrusted-name"
    tinsmith("pull shapes out --releases mirror --allow-unsigned")
    tinsmith("pull shapes other")
    checks = {
        name: verify_release(Layout(Path(name)), Layout(Path(name)).find("shapes"), Policy())[0]
        for name in ("releases", "mirror")
    }
    assert {name: check.ok for name, check in checks.items()} == {"releases": None, "mirror": None}
    assert "NOT verified" in checks["mirror"].detail
    assert "NOT verified" not in checks["releases"].detail


def test_a_broken_index_stands_in_the_way_only_where_one_is_needed(project: Path) -> None:
    layout = Layout(project / "releases")
    digest = layout.find("shapes").digest
    layout.put("shapes:tinsmith-index", b'{"schemaVersion":2}', "application/x", [])
    tinsmith("pull shapes before")
    tinsmith("key new team -o keys")
    (project / "tinsmith.toml").write_text('[[trust]]\nnames = ["shapes"]\nkeys = ["keys/team.pub"]\n')
    tinsmith("sign shapes --key keys/team.key")
    tinsmith(f"pull ./releases@{digest} by-digest")
    with pytest.raises(TinsmithError) as caught:
        tinsmith("pull ./releases:shapes by-version")
    assert caught.value.code == "malformed"


def test_a_mistyped_setting_is_told_with_its_line(project: Path) -> None:
    (project / "tinsmith.toml").write_text('[[trust]]\nnames = ["shapes"]\nkeys = ["k"]\nnmaes = 1\n')
    with pytest.raises(TinsmithError, match=r"tinsmith\.toml:4: no setting is called 'trust\.nmaes'"):
        tinsmith("index show shapes")


def test_the_key_comes_from_the_flag_then_the_variable_then_the_settings(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("flag", "variable", "settings"):
        tinsmith(f"key new {name}")
    ids = {path.stem: load_public(path.read_bytes(), "it").id for path in project.glob("*.pub")}
    capsys.readouterr()
    (project / "tinsmith.toml").write_text('[sign]\nkey = "settings.key"\n')
    tinsmith("sign shapes")
    monkeypatch.setenv("TINSMITH_KEY", "variable.key")
    tinsmith("sign shapes")
    monkeypatch.setenv("TINSMITH_KEY", (project / "variable.key").read_text())
    tinsmith("sign shapes")
    tinsmith("sign shapes --key flag.key")
    used = re.findall("signed by ([0-9a-f]{64})", capsys.readouterr().out)
    assert used == [ids[name] for name in ("settings", "variable", "variable", "flag")]


def test_a_revoked_version_is_shown_as_such(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tinsmith("key new team -o keys")
    (project / "tinsmith.toml").write_text(
        '[sign]\nkey = "keys/team.key"\n[[trust]]\nnames = ["shapes"]\nkeys = ["keys/team.pub"]\n'
    )
    tinsmith("sign shapes")
    tinsmith("index renew shapes")
    version = re.findall(r"^  (\S+) +sha256:", capsys.readouterr().out, re.MULTILINE)[-1]
    tinsmith(f"index revoke shapes {version} --reason mislabelled")
    capsys.readouterr()
    tinsmith("index show shapes")
    assert "REVOKED: mislabelled" in capsys.readouterr().out
    tinsmith("index show shapes --json")
    assert '"serial": 2' in capsys.readouterr().out
