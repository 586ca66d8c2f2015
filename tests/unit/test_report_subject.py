"""What reports are about: what is compared with what, and documents that are not what they should be."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.cli.app import app
from builder.cli.table import Produced, print_produced
from builder.engine.base import Workspace
from builder.errors import IntegrityError, UsageError
from builder.manifest.load import loads
from builder.plan.make import make_plan
from builder.plan.step import Step
from builder.release.layout import Layout
from builder.release.make import Signer
from builder.release.produce import Made, produce
from builder.report.difference import difference
from builder.report.facts import facts_of
from builder.report.formats import LARGEST
from builder.report.judged import budgets
from builder.report.subject import last_release, of_release
from builder.report.write import CARD, PAGE, TWIN, compared, write_report, write_reports
from tests.fakes import Events, FakeEngine
from tests.unit.report_subjects import documents, manifest, run, subject
from tests.unit.small_release import CODE, LOCK, METRICS, ROOT, TEXT, no_source, release, work


def test_the_release_before(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert last_release(layout, "a", "1.0.0") is None
    for name, version in (
        ("a", "1.9.0"),
        ("a", "1.10.0"),
        ("a", "2.0.0"),
        ("a", "1.11.0-rc.1"),
        ("b", "1.10.5"),
        ("a", "odd"),
    ):
        layout.add(name, version, {"labels.txt": f"{name} {version}".encode()}, {})
    expected = {
        "1.10.1": "1.10.0",
        "1.10.0": "1.9.0",
        "3.0.0": "2.0.0",
        "1.9.0": None,
        "0.1.0": None,
        "odd": None,
        "1.11.0": "1.10.0",
    }
    for version, before in expected.items():
        found = last_release(layout, "a", version)
        assert (found.version if found is not None else None) == before, version
    assert compared(layout, "a", "1.0.0", "b") == layout.find("b")
    with pytest.raises(UsageError):
        compared(layout, "a", "1.0.0", "c")


@pytest.mark.parametrize(
    ("title", "path", "value"),
    [
        ("metrics.json", ("images",), -1),
        ("metrics.json", ("images",), 10**30),
        ("metrics.json", ("images",), True),
        ("metrics.json", ("stages",), {}),
        ("metrics.json", ("stages", "tflite_litert", "map"), 1.5),
        ("metrics.json", ("stages", "tflite_litert", "map"), "0.5"),
        ("metrics.json", ("stages", "tflite_litert", "per_class"), []),
        ("metrics.json", ("degenerate",), None),
        ("metadata.json", ("description",), "x" * 5000),
        ("metadata.json", ("labels",), {"names": [1]}),
        ("evaluation.json", ("score",), float("nan")),
        ("evaluation.json", ("model_digest",), "sha256:" + "0" * 64),
        ("evaluation.json", ("confusion", "counts"), [[1]]),
        ("evaluation.json", ("confusion", "counts"), [[1], [1], [1]]),
        ("evaluation.json", ("shown",), [2]),
        ("evaluation.json", ("worst", 0, "id"), 99),
        ("evaluation.json", ("pictures", "1", "width"), 0),
        ("evaluation.json", ("pictures", "1", "frozen", 0, "box"), [0, 0, 1]),
        ("evaluation.json", ("precision_recall", "circle", "precision"), [0.5] * 100),
        ("training.json", ("stages", 0, "curves", "loss"), [[1, float("inf")]]),
        ("training.json", ("stages", 0, "curves", "loss"), [[1, 2.0]] * 3000),
        ("training.json", ("stages",), {}),
        ("certificate.json", ("image_sets", "eval", "pairs"), {"a": 1}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_odd_document_is_one_error_that_names_it(title: str, path: tuple[Any, ...], value: Any) -> None:
    changed = documents()[title]
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(IntegrityError) as caught:
        facts_of(subject(changes={title: changed}))
    assert title in caught.value.message
    assert caught.value.message.isprintable() and len(caught.value.message) < 500


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"[" * 5000, b'{"a":' * 5000, b"null", b"NaN"], ids=repr)
@pytest.mark.parametrize("title", list(documents()))
def test_what_is_no_json_object_is_refused(title: str, data: bytes) -> None:
    with pytest.raises(IntegrityError, match=title.replace(".", r"\.")):
        facts_of(subject(files={title: data}))


def test_what_is_too_large_is_not_read() -> None:
    one = subject()
    large = {**one.files, "training.json": (one.files["training.json"][0], LARGEST + 1)}
    with pytest.raises(IntegrityError, match="larger than"):
        facts_of(subject(files={}).__class__(**{**vars(one), "files": large}))


@pytest.mark.parametrize(
    "odd",
    [
        {"latency": {}}, {**run(), "steps": []}, run(median=float("inf")), run(median=-1.0), run(cpu="\ud800"),
        {**run(), "steps": {"train": {"seconds": "1"}}},
    ],
    ids=repr,
)  # fmt: skip
def test_an_odd_run_is_refused(odd: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match=r"run\.json"):
        facts_of(subject(run=odd))


def test_figures_that_do_not_compare_have_no_verdict() -> None:
    new = facts_of(subject(value=0.9, run=run(median=1.0)))
    other = documents(value=0.5)["metadata.json"]
    other["dataset"]["splits"]["eval"] = {"digest": "sha256:other", "images": 3}
    old = facts_of(subject(value=0.5, changes={"metadata.json": other}, run=run("another", 2.0)))
    changed = difference(old, new)
    assert len(changed.notes) == 2
    assert {row.better for row in changed.figures if row.unit in ("share", "ms")} == {None}
    alike = difference(facts_of(subject(value=0.5, run=run(median=2.0))), new)
    verdicts = {row.what: row.verdict for row in alike.figures}
    assert (verdicts["mAP"], verdicts["latency, median"], alike.notes) == ("better", "better", ())
    # So little is what the same file differs by from run to run.
    near = difference(facts_of(subject(run=run(median=1.05))), new)
    assert {row.what: row.verdict for row in near.figures}["latency, median"] == ""


def test_steps_that_differ_are_named_in_their_order() -> None:
    new, old = facts_of(subject(run=run(train="sha256:x", package="sha256:y"))), facts_of(subject())
    assert difference(old, new).steps == ("train", "package")
    assert difference(old, old).steps == ()


def test_budgets_with_what_was_measured() -> None:
    tight = manifest(
        verify={"min_map50": 0.95, "max_size": 1000, "max_map_drop": 0.1, "max_quant_drop": 0.1, "max_latency_ms": 1.0}
    )
    rows = {row.name: row.state for row in budgets(facts_of(subject(manifest=tight, misses=None)))}
    assert rows == {
        "min_map50": "missed", "max_size": "kept", "max_map_drop": "kept", "max_quant_drop": "not judged",
        "max_latency_ms": "missed", "constant answer": "kept",
    }  # fmt: skip
    assert len(facts_of(subject(manifest=tight, misses=None)).misses) == 2
    assert facts_of(subject(manifest=manifest(verify={"later": 1}), misses=None)).misses == ()
    assert [row.name for row in budgets(facts_of(subject(manifest=manifest(verify={"min_map50": "x"}))))] == [
        "constant answer"
    ]


def test_a_canary_is_not_judged_by_what_it_learnt() -> None:
    tight = manifest(verify={"min_map50": 0.95, "max_size": 1})
    unjudged = frozenset({"min_map50", "constant answer"})
    one = subject(manifest=tight, canary=True, digest=None, misses=("max_size: too large",), unjudged=unjudged)
    rows = {row.name: row.state for row in budgets(facts_of(one))}
    assert rows == {"min_map50": "not judged", "max_size": "missed", "constant answer": "not judged"}
    measured = {row.name: row.measured for row in budgets(facts_of(one))}
    assert measured == {"min_map50": "–", "max_size": "12 B (12 bytes)", "constant answer": "–"}
    changed = difference(facts_of(subject(value=0.5, run=run(median=9.0), version="1.0.0")), facts_of(one))
    assert {row.better for row in changed.figures} == {None}


def test_a_release_of_a_layout_has_a_report_and_an_equal_one_stays(tmp_path: Path) -> None:
    small = release(tmp_path / "one")
    made = of_release(small.layout, small.release)
    assert made.manifest == small.manifest.model_dump(mode="json")
    assert made.order[0] == "ingest"
    folder = tmp_path / "out"
    assert write_report(made, small.layout, None, folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted((PAGE, TWIN, CARD))
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert not write_report(made, small.layout, None, folder)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert write_report(made, small.layout, small.release, folder)
    (folder / CARD).unlink()
    assert write_report(made, small.layout, small.release, folder)


def test_nothing_heavy_is_loaded_when_the_report_is_there(tmp_path: Path) -> None:
    small = release(tmp_path / "one")
    write_report(of_release(small.layout, small.release), small.layout, None, tmp_path / "out")
    script = (
        "import sys; from pathlib import Path; from builder.release.layout import Layout;"
        "from builder.report.subject import of_release; from builder.report.write import write_report;"
        "layout = Layout(Path(sys.argv[1])); one = of_release(layout, layout.find('shapes'));"
        "assert not write_report(one, layout, None, Path(sys.argv[2]));"
        "print([name for name in ('matplotlib', 'jinja2', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(small.layout.root), str(tmp_path / "out")],
        env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "[]\n"


def build_of(text: str, root: Path, layout: Layout) -> tuple[list[Made], Any]:
    from builder.store.disk import DiskStore

    family, store = loads(text, "shapes.yaml"), DiskStore(root / "store")
    lock = LOCK.model_copy(update={"manifest_digest": family.digest})

    def with_documents(step: Step, workspace: Workspace) -> Any:
        files = dict(work(step, workspace))
        if step.module == "package":
            files["training.json"] = json.dumps(documents()["training.json"]).encode()
        return files

    plans = tuple(make_plan(one, lock, CODE) for one in family.manifests)
    made = produce(
        family, lock, plans, CODE, sources=no_source, store=store, engine=lambda: FakeEngine(with_documents),
        layout=layout, out=root / "build", signer=Signer(), emit=Events(),
    )  # fmt: skip
    return made, store


def test_a_build_reports_what_it_releases_and_what_it_does_not(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "releases")
    (first,), store = build_of(TEXT, tmp_path, layout)
    write_reports([first], layout, store)
    assert first.cached == frozenset()
    folder = tmp_path / "build" / "shapes-1.0.0"
    assert (folder / PAGE).is_file() and (folder / "model.tflite").is_file()
    assert "No release to compare with." in (folder / TWIN).read_text()

    (same,), store = build_of(TEXT, tmp_path, layout)
    written = (folder / PAGE).stat().st_mtime_ns
    write_reports([same], layout, store)
    assert same.cached == {step.name for step in same.plan.steps}
    assert (folder / PAGE).stat().st_mtime_ns == written

    text = TEXT.replace("version: 1.0.0", "version: 1.1.0").replace("min_map50: 0.80", "min_map50: 0.99")
    assert text.count("0.99") == 1
    (missed,), store = build_of(text, tmp_path, layout)
    write_reports([missed], layout, store)
    assert missed.built is None
    folder = tmp_path / "build" / "shapes-1.1.0"
    assert sorted(path.name for path in folder.iterdir()) == sorted((PAGE, TWIN, CARD))
    twin = (folder / TWIN).read_text()
    assert "Not released: it misses its budgets." in twin
    assert "| `verify.min_map50` | `0.8` | `0.99` |" in twin
    assert "| `train` | " in twin and " | cached |" in twin
    assert "Loss" in (folder / PAGE).read_text()


def test_show_advises_no_score_where_nothing_is_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def useless(step: Step, workspace: Workspace) -> Any:
        point = {"score": 1.0, "precision": 0.0, "recall": 0.0}
        files = dict(work(step, workspace))
        return {**files, "metrics.json": json.dumps({**METRICS, "operating_point": point}).encode()}

    for name, made_by, says in (
        ("one", useless, "\nNo score can be advised: nothing that the model finds is right.\n"),
        ("other", work, "\nshow detections from a score of 0.50: precision 0.90, recall 0.80\n"),
    ):
        small = release(tmp_path / name, work=made_by)
        app(["show", "shapes", "--releases", str(small.layout.root)], standalone_mode=False)
        shown = capsys.readouterr().out
        assert says in shown and shown.count(" score ") == 1


def test_the_table_warns_of_a_model_worse_than_one_box(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (made,), _ = build_of(TEXT, tmp_path, Layout(tmp_path / "releases"))
    family = loads(TEXT, "shapes.yaml")
    print_produced([Produced(family, [made], None)], as_json=False)
    assert "warning" not in capsys.readouterr().out
    figures = made.candidate.figures
    worse = {**figures.metrics, "constant_baseline": {**figures.metrics["constant_baseline"], "map50": 0.99}}
    candidate = replace(made.candidate, figures=replace(figures, metrics=worse))
    print_produced([Produced(family, [replace(made, candidate=candidate)], None)], as_json=False)
    said = "\nwarning: shapes@1.0.0 does not beat one constant box a class: mAP@0.5 0.984, the box 0.990\n"
    assert said in capsys.readouterr().out


def test_the_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    small = release(tmp_path)
    monkeypatch.chdir(tmp_path)
    app(["report", small.release.ref, "--releases", "releases"], standalone_mode=False)
    printed = capsys.readouterr().out.splitlines()
    assert printed == [f"build/shapes-1.0.0/{name}" for name in (PAGE, TWIN, CARD)]
    assert all(Path(path).is_file() for path in printed)
    with pytest.raises(UsageError, match="no release 'absent'"):
        app(["report", "shapes", "--against", "absent", "--releases", "releases"], standalone_mode=False)
