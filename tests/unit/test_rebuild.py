"""A release built again from itself: what is compared, what is refused, and what is said when bytes differ."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import builder.cli
from builder.cli.releases import show
from builder.digest import canonical_json, digest_bytes, hex_of
from builder.engine.base import Workspace
from builder.errors import DatasetError, IntegrityError, RebuildDiffers, UsageError
from builder.lock.content import dataset_digest
from builder.lock.model import LockedSource
from builder.lock.sources import source_opener
from builder.plan.step import Step
from builder.rebuild import check, verdict
from builder.rebuild.permission import check_permitted
from builder.rebuild.rebuild import Rebuilt, rebuild
from builder.rebuild.recipe import recipe_of
from builder.rebuild.record import PREDICATE, SIGNED_TYPE, attach_record, parse_statement, records, statement
from builder.rebuild.scratch import fresh_store
from builder.rebuild.steps import steps_of
from builder.release.layout import Layout
from builder.store.disk import DiskStore
from builder.trust import dsse
from builder.trust.keys import new_key
from builder.trust.statement import PAYLOAD_TYPE, STATEMENT
from tests.fakes import Events, FakeEngine, Work
from tests.unit.small_release import CODE, Small, changed, no_source, release, work

NEEDED = ["ingest", "train", "export", "convert", "embed", "infer", "verify", "package"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return release(tmp_path_factory.mktemp("small"))


def again(small: Small, root: Path, work: Work = work) -> Rebuilt:
    return rebuild(
        small.release,
        recipe_of(small.layout, small.release),
        steps_of(small.layout, small.release),
        sources=no_source,
        store=DiskStore(root / "fresh"),
        engine=lambda: FakeEngine(work),
        emit=Events(),
    )


def said(rebuilt: Rebuilt, small: Small) -> str:
    metrics = small.layout.read(small.release, "metrics.json")
    return "\n".join(
        verdict.reasons(rebuilt, metrics, {"latency": {"cpu": "Z80"}, "steps": {"train": {"engine": "x"}}})
    )


def other_bytes(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
    return {**work(step, workspace), "params.json": b"other"}


def test_a_release_is_built_again_to_the_same_digest(small: Small, tmp_path: Path) -> None:
    rebuilt = again(small, tmp_path)
    assert rebuilt.same
    assert rebuilt.digest == small.release.digest
    assert [step.step.name for step in rebuilt.steps] == NEEDED
    assert all(step.same and step.inputs_same for step in rebuilt.steps)
    assert rebuilt.contents == {title: small.layout.read(small.release, title) for title in small.release.files}
    assert said(rebuilt, small) == ""
    verdict.judge(rebuilt, [])


def test_it_runs_the_code_and_parameters_of_the_release_not_todays(small: Small, tmp_path: Path) -> None:
    seen: dict[str, tuple[Any, dict[str, bytes]]] = {}

    def look(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
        seen[step.name] = step.params, {path.name: path.read_bytes() for path in workspace.steps.iterdir()}
        return work(step, workspace)

    code = {name: data + b"\n# of an older tinsmith\n" for name, data in CODE.items()}
    old = release(tmp_path, code=code)
    assert again(old, tmp_path, look).same
    for step in old.plan.needed():
        assert seen[step.name] == (step.params, {name: code[name] for name in step.code})


def test_the_first_step_that_differs_is_named_with_its_file_and_its_inputs(small: Small, tmp_path: Path) -> None:
    rebuilt = again(small, tmp_path, changed("export", other_bytes, changed("verify", other_bytes)))
    assert not rebuilt.same
    text = said(rebuilt, small)
    assert text.splitlines()[0] == "first step: export: params.json has other bytes; its inputs were the same"
    assert "other steps that differ: convert, embed, infer, verify, package; all had other inputs" in text
    assert small.release.digest in text
    assert rebuilt.digest in text
    with pytest.raises(RebuildDiffers) as caught:
        verdict.judge(rebuilt, text.splitlines())
    assert (caught.value.exit_status, caught.value.code) == (5, "rebuild-differs")
    document = verdict.document(rebuilt, text.splitlines())
    assert [item["name"] for item in document["steps"] if item["inputs_same"] and not item["same"]] == ["export"]
    assert json.dumps(document)


def test_two_steps_that_differ_by_themselves_are_told_apart(small: Small, tmp_path: Path) -> None:
    def hides(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
        # A file that nothing reads: what comes after is the same.
        return {**work(step, workspace), "out.txt": small_out(small, step.name), "log.txt": b""}

    rebuilt = again(small, tmp_path, changed("measure", hides, changed("train", hides)))
    first, *others = [step for step in rebuilt.steps if not step.same]
    assert (first.step.name, [str(change) for change in first.changes]) == ("train", ["log.txt is extra"])
    assert others
    assert not any(step.inputs_same for step in others)


def small_out(small: Small, name: str) -> bytes:
    return small.store.read(small.results[name].artifact("out.txt").digest)


def test_of_a_training_that_differs_the_circumstances_and_both_figures_are_said(small: Small, tmp_path: Path) -> None:
    def scores(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
        figures = {"stages": {"tflite_litert": {"map": 0.498, "map50": 0.751}}}
        return {**work(step, workspace), "metrics.json": json.dumps(figures).encode()}

    text = said(again(small, tmp_path, changed("train", other_bytes, changed("package", scores))), small)
    assert "CPU class x86-64-v3" in text
    assert "threads" in text
    assert "Z80, engine x" in text
    assert "mAP 0.635 released, 0.498 now; mAP@0.5 0.984 released, 0.751 now" in text


def doctored(small: Small, root: Path, title: str, data: bytes, **annotations: str) -> Small:
    files = {name: small.layout.read(small.release, name) for name in small.release.files}
    layout = Layout(root / "doctored")
    said = {**small.release.annotations, **annotations}
    made, _ = layout.add(small.release.name, small.release.version, {**files, title: data}, said)
    return replace(small, layout=layout, release=made)


def test_a_release_whose_own_account_is_of_another_build_differs_in_that_step(small: Small, tmp_path: Path) -> None:
    steps = json.loads(small.layout.read(small.release, "steps.json"))
    steps["train"]["outputs"]["out.txt"] = digest_bytes(b"another seed")
    rebuilt = again(doctored(small, tmp_path, "steps.json", canonical_json(steps)), tmp_path)
    assert not rebuilt.same
    assert "first step: train: out.txt has other bytes; its inputs were the same" in said(rebuilt, small)


def test_a_released_file_that_no_step_left_differs_by_name(small: Small, tmp_path: Path) -> None:
    for title, data, says in (
        ("params.json", b"evil", "params.json has other bytes"),
        ("extra.bin", b"evil", "extra.bin is missing"),
    ):
        rebuilt = again(doctored(small, tmp_path / title, title, data), tmp_path / title)
        assert all(step.same for step in rebuilt.steps)
        assert not rebuilt.same
        assert f"first file of the release: {says}" in said(rebuilt, small)
    rebuilt = again(doctored(small, tmp_path / "said", "labels.txt", b"", **{"dev.example": "x"}), tmp_path)
    assert not rebuilt.same


def test_what_an_older_tinsmith_did_not_put_into_a_release_is_not_missed(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from builder.rebuild import rebuild as module

    made = module.files_of
    monkeypatch.setattr(module, "files_of", lambda *of: {**made(*of), "invented-later.json": b"{}"})
    assert again(small, tmp_path).same


@pytest.mark.parametrize(
    "change",
    [
        lambda steps: steps.pop("train"),
        lambda steps: steps["train"].update(key=digest_bytes(b"")),
        lambda steps: steps["train"].pop("outputs"),
        lambda steps: steps["train"]["outputs"].update({"a": "b"}),
        lambda steps: steps.update(train=1),
    ],
)
def test_an_account_of_other_steps_than_the_plans_is_exit_7(
    small: Small, tmp_path: Path, change: Callable[[Any], object]
) -> None:
    steps = json.loads(small.layout.read(small.release, "steps.json"))
    change(steps)
    with pytest.raises(IntegrityError):
        again(doctored(small, tmp_path, "steps.json", canonical_json(steps)), tmp_path)


# Data


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        (tmp_path / "photos" / "images").mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / "images" / f"{name}.jpg").write_text(name)
    return tmp_path / "photos"


def lose(photos: Path) -> None:
    (photos / "images" / "b.jpg").unlink()
    (photos / "images" / "c.jpg").write_text("other")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda photos: (photos / "images" / "b.jpg").unlink(), "images/b.jpg is missing"),
        (lambda photos: (photos / "images" / "b.jpg").write_text("other"), "images/b.jpg has other bytes"),
        (lambda photos: (photos / "images" / "b2.jpg").write_text("new"), "images/b2.jpg is extra"),
        (lose, "images/b.jpg is missing, and 1 more files differ"),
    ],
)
def test_data_that_is_not_the_locked_one_is_named_by_its_first_file(
    small: Small, photos: Path, tmp_path: Path, change: Callable[[Path], object], says: str
) -> None:
    before = dataset_digest(photos, ("images",))
    source = LockedSource(name="photos", digest=before.digest, files=3, bytes=3, paths=("images",))
    lock = small.lock.model_copy(update={"dataset": source})
    change(photos)
    opened = source_opener(
        small.manifest, lock, None, {}, tmp_path / "cache", Events(), lambda locked: photos, lambda listing: None,
        known={before.digest: before.listing}.get,
    )  # fmt: skip
    with pytest.raises(IntegrityError) as caught:
        opened(before.digest)
    assert says in caught.value.message
    assert "lock" not in str(caught.value.help)


def test_a_folder_beside_a_manifest_that_is_not_there_has_to_be_given(tmp_path: Path) -> None:
    from builder.lock.sources import locate
    from builder.manifest.datasource import Source

    with pytest.raises(DatasetError) as caught:
        locate(Source(name="photos", path="../secrets"), None, {}, tmp_path, Events())
    assert "--source photos=PATH" in str(caught.value.help)


# Where it runs


def test_nothing_is_taken_for_built_but_what_the_same_rebuild_left(tmp_path: Path) -> None:
    one, other = digest_bytes(b"1"), digest_bytes(b"2")
    with pytest.raises(KeyboardInterrupt), fresh_store(tmp_path / "store", one) as (store, stopped):
        assert not stopped
        store.write_bytes(b"kept")
        raise KeyboardInterrupt
    with pytest.raises(UsageError), fresh_store(tmp_path / "store", other):
        pass
    with fresh_store(tmp_path / "store", one) as (store, stopped):
        assert stopped
        assert store.has(digest_bytes(b"kept"))
    with pytest.raises(UsageError), fresh_store(tmp_path / "store", one):
        pass
    with fresh_store(None, one) as (store, stopped):
        root = store.root
    assert not root.exists()


class _Named(FakeEngine):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


def with_toolchain(small: Small, **values: Any) -> Any:
    """The small release's recipe, whose toolchains differ from the shipped ones in ``values``."""
    recipe = recipe_of(small.layout, small.release)
    steps = tuple(replace(step, toolchain=replace(step.toolchain, **values)) for step in recipe.plan.steps)
    return replace(recipe, plan=replace(recipe.plan, steps=steps))


def test_a_toolchain_that_tinsmith_does_not_have_needs_trust(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    from builder.engine.isolation import Isolation
    from builder.rebuild import permission

    def refused(engine: str, recipe: Any) -> str:
        check_permitted(small.layout, small.release, recipe, _Named(engine), trusted=True)
        try:
            check_permitted(small.layout, small.release, recipe, _Named(engine), trusted=False)
        except IntegrityError as error:
            assert error.code == "untrusted-recipe"
            return error.message
        return ""

    strong = Isolation(network=True, files="all")
    monkeypatch.setattr(permission, "strongest", lambda: strong)
    own = recipe_of(small.layout, small.release)
    foreign = with_toolchain(small, digest=digest_bytes(b"foreign"), name="evil")
    assert refused("local", own) == ""
    assert "toolchain evil" in refused("local", foreign)
    assert "toolchain evil" in refused("docker", foreign)
    assert refused("docker", with_toolchain(small, digest=digest_bytes(b""), image="sha256:" + "0" * 64)) == ""
    monkeypatch.setattr(permission, "strongest", lambda: Isolation())
    assert "cannot isolate" in refused("local", own)
    monkeypatch.setattr(permission, "vouched", lambda layout, release: True)
    check_permitted(small.layout, small.release, foreign, _Named("local"), trusted=False)


# Built twice


def second(small: Small, work: Work = work) -> check.Checked:
    engine = FakeEngine(work)
    twice = check.SecondBuild(
        CODE, sources=no_source, store=small.store, engine=lambda: engine, emit=Events()
    )  # fmt: skip
    checked = twice.check(small.plan)
    assert engine.ran == NEEDED
    return checked


@pytest.mark.parametrize(
    ("differing", "tier"),
    [((), "B"), (("train",), "A"), (("convert",), None), (("train", "verify"), None)],
)
def test_every_step_runs_again_on_the_first_builds_inputs(
    small: Small, differing: tuple[str, ...], tier: str | None
) -> None:
    def twice(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
        return other_bytes(step, workspace) if step.name in differing else work(step, workspace)

    checked = second(small, twice)
    # What comes after a step that differs has the first build's inputs, so that it does not differ, too.
    assert [step.step.name for step in checked.steps if not step.same] == list(differing)
    assert checked.tier == tier
    assert list(checked.conditions) == ["train"]
    record = parse_statement(statement(small.release, checked), small.release)
    assert (record.tier, record.failed) == (tier, differing)
    if not differing:
        check.judge(checked, "shapes@1.0.0")
        return
    with pytest.raises(RebuildDiffers) as caught:
        check.judge(checked, "shapes@1.0.0")
    assert caught.value.exit_status == 5
    for name in differing:
        assert f"{name}: params.json has other bytes" in caught.value.message


def test_a_second_run_does_not_go_on_from_a_checkpoint(small: Small) -> None:
    def look(step: Step, workspace: Workspace) -> Mapping[str, bytes]:
        assert list(workspace.output.iterdir()) == []
        (workspace.output / "checkpoints").mkdir()
        (workspace.output / "checkpoints" / "step-1.checkpoint").write_text("state")
        if step.name == "train" and stop:
            raise KeyboardInterrupt
        return work(step, workspace)

    stop = True
    with pytest.raises(KeyboardInterrupt):
        second(small, look)
    stop = False
    assert second(small, look).tier == "B"


def test_the_record_is_an_in_toto_statement_about_the_release_and_travels_with_it(tmp_path: Path) -> None:
    small = release(tmp_path)
    attached = attach_record(small.layout, small.release, second(small))
    assert attached.artifact_type == PAYLOAD_TYPE
    document = json.loads(small.layout.read_attachment(attached))
    assert (document["_type"], document["predicateType"]) == (STATEMENT, PREDICATE)
    assert document["subject"] == [{"name": "shapes@1.0.0", "digest": {"sha256": hex_of(small.release.digest)}}]
    assert document["predicate"]["result"] == "PASSED"
    assert document["predicate"]["passedTests"] == NEEDED
    (record,) = records(small.layout, small.release)
    assert str(record).startswith("tier B, the same bytes from every step; train with CPU class x86-64-v3, ")
    # The digest of a release does not depend on what is attached to it.
    assert small.layout.find("shapes") == small.release


def test_a_record_is_signed_where_a_key_is_known(tmp_path: Path) -> None:
    small = release(tmp_path)
    key, *_ = new_key("team", tmp_path)
    attached = attach_record(small.layout, small.release, second(small), key)
    assert attached.artifact_type == SIGNED_TYPE
    envelope = dsse.parse(small.layout.read_attachment(attached))
    assert dsse.verify(envelope, PAYLOAD_TYPE, [key.public], 1, "the record") == (key.public,)
    (record,) = records(small.layout, small.release, [key.public])
    assert (record.tier, record.signers) == ("B", (key.public.id,))
    assert record.source == f"signed by {key.public.id[:12]}"
    other, *_ = new_key("other", tmp_path)
    (record,) = records(small.layout, small.release, [other.public])
    assert record.source == "says a record that nobody trusted signed"


def test_show_says_whose_word_a_second_build_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = release(tmp_path)
    attach_record(small.layout, small.release, second(small))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    show("shapes", small.layout.root)
    assert "from every step; train with" in (printed := capsys.readouterr().out)
    assert ", says an unsigned record\n" in printed


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"[" * 100_000, b'{"_type": 1, "predicateType": 2}'])
def test_a_damaged_record_is_exit_7(small: Small, data: bytes) -> None:
    with pytest.raises(IntegrityError):
        parse_statement(data, small.release)


def test_a_record_of_another_release_or_with_hidden_text_is_exit_7(small: Small) -> None:
    document = json.loads(statement(small.release, second(small)))
    other = replace(small.release, digest=digest_bytes(b"other"))
    with pytest.raises(IntegrityError):
        parse_statement(canonical_json(document), other)
    document["predicate"]["failedTests"] = ["\x1b[2J"]
    with pytest.raises(IntegrityError):
        parse_statement(canonical_json(document), small.release)


# The command


def tinsmith(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["tinsmith", *words])
    with pytest.raises(SystemExit) as caught:
        builder.cli.main()
    return int(caught.value.code or 0)


def test_the_command_needs_nothing_but_the_release(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from builder.engine import select

    engine = FakeEngine(work)
    monkeypatch.setattr(select, "choose", lambda name, folders: engine)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(small.layout.root, tmp_path / "releases")
    assert tinsmith(monkeypatch, "rebuild", "shapes@1.0.0", "--keep", "kept", "--progress", "plain") == 0
    out, err = capsys.readouterr()
    assert f"the same, {len(small.release.files)} files, {small.release.digest}" in out
    assert err.count("the same bytes as released") == len(NEEDED)
    assert engine.ran == NEEDED
    kept = {path.relative_to("kept").as_posix() for path in Path("kept").rglob("*") if path.is_file()}
    assert kept == set(small.release.files)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "releases"]

    engine.work = changed("convert", other_bytes)
    assert tinsmith(monkeypatch, "rebuild", "shapes", "--json", "--progress", "quiet", "--store", "scratch") == 5
    out, err = capsys.readouterr()
    assert json.loads(out)["same"] is False
    assert "error[rebuild-differs]" in err
    assert "convert: params.json has other bytes" in err
    assert tinsmith(monkeypatch, "rebuild", "shapes", "--store", "scratch") == 2
    assert tinsmith(monkeypatch, "rebuild", "shapes", "--source", "photos=.") == 2
