"""The section [cluster] of tinsmith.toml, and the place of each mistake in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.configuration import parse_settings, scheduler_address
from builder.errors import UsageError


def test_what_can_be_said() -> None:
    text = '[cluster]\nscheduler = "tls://head:8786"\n[cluster.demand.train]\ngpu = 1\nlicense = 0.5\n'
    found = parse_settings(text.encode(), "tinsmith.toml").cluster
    assert found.scheduler == "tls://head:8786"
    assert found.demand == {"train": {"gpu": 1.0, "license": 0.5}}


def test_nothing_said() -> None:
    found = parse_settings(b"", "tinsmith.toml").cluster
    assert (found.scheduler, found.demand) == (None, {})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[cluster]\n\nschedule = "tcp://a"\n', "t:3: no setting is called 'cluster.schedule'"),
        ('[cluster]\nscheduler = "http://a"\n', "t:2: cluster.scheduler: String should match"),
        ("[cluster]\ndemand = 3\n", "t:2: cluster.demand: Input should be a valid dictionary"),
        ('[sign]\n[cluster.demand.qat]\n# x\ngpu = "1"\n', "t:4: cluster.demand.qat.gpu: Input should be a valid"),
        ("[cluster.demand.train]\ngpu = -1\n", "t:2: cluster.demand.train.gpu: Input should be greater than"),
        ("cluster.demand.train.gpu = inf\n", "t:1: cluster.demand.train.gpu: Input should be a finite number"),
        ("\n[cluster.demand]\ntrain = {gpu = true}\n", "t:3: cluster.demand.train.gpu: "),
        ('[cluster.demand."trai n"]\ngpu = 1\n', "t:1: cluster.demand.trai n: String should match"),
        ('[[trust]]\nnames = ["a"]\nkeys = ["a"]\n[[trust]]\nnames = ["a"]\n', "t:4: trust.keys: Field required"),
    ],
    ids=lambda value: value.splitlines()[-1],
)
def test_a_mistake_has_its_place(text: str, says: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_settings(text.encode(), "t")
    assert says in raised.value.message


def test_a_setting_that_is_nearly_right() -> None:
    with pytest.raises(UsageError) as raised:
        parse_settings(b"[cluster]\nworkers = 1\n", "t")
    assert raised.value.help == "known: scheduler, demand"
    with pytest.raises(UsageError) as raised:
        parse_settings(b"[cluster]\nschedulr = 1\n", "t")
    assert raised.value.help == "did you mean 'scheduler'?"


@pytest.mark.parametrize("address", ["head:8786", "127.0.0.1", "tcp://head", "tcp://head:port", "http://head:8786"])
def test_what_is_no_address_of_a_scheduler(address: str) -> None:
    with pytest.raises(UsageError, match="is no address of a scheduler"):
        scheduler_address(address)


def test_the_scheduler_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("TINSMITH_SETTINGS", "")
    with pytest.raises(UsageError, match="no scheduler is named"):
        scheduler_address(None)
    file = tmp_path / "tinsmith.toml"
    file.write_text('[cluster]\nscheduler = "tls://head:8786"\n')
    monkeypatch.setenv("TINSMITH_SETTINGS", str(file))
    assert scheduler_address(None) == "tls://head:8786"
    assert scheduler_address("tcp://other:1") == "tcp://other:1"
