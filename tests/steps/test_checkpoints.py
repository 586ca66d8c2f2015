"""Checkpoints of the trainer: whole or not used, of this training or not used, two and no more."""

import errno
import os

import checkpoints
import contract
import numpy as np
import pytest

TRAINING = ["train", "sha256:a", None]


@pytest.fixture
def opened(tmp_path):
    """``opened(training)``: the checkpoints of ``tmp_path`` as a process that starts sees them."""
    last = []

    def open_again(training=TRAINING):
        while last:
            last.pop().close()
        last.append(checkpoints.Checkpoints(str(tmp_path), training))
        return last[0]

    yield open_again
    while last:
        last.pop().close()


@pytest.fixture
def said(monkeypatch):
    texts = []
    monkeypatch.setattr(contract, "emit", lambda kind, **detail: texts.append(detail["text"]))
    return texts


def checkpoint(step):
    state = {"a/b": np.full((2, 3), step, np.float32), "c": np.float32(0.5 + step)}
    return checkpoints.Checkpoint(step, state, [{"step": step, "loss": 0.1}])


def save(kept, *steps):
    for step in steps:
        kept.save(checkpoint(step))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_checkpoint_comes_back_with_the_same_bits(opened):
    save(opened(), 7)
    found = opened().latest()
    assert found.step == 7 and found.rows == [{"step": 7, "loss": 0.1}]
    assert found.state["a/b"].tobytes() == checkpoint(7).state["a/b"].tobytes()
    assert found.state["c"].dtype == np.float32 and float(found.state["c"]) == 7.5


def test_the_best_weights_and_what_was_seen_come_back(opened):
    opened().save(checkpoint(7)._replace(looks=[{"map": 0.5}], best={"a": np.arange(3, dtype=np.float32)}))
    found = opened().latest()
    assert found.looks == [{"map": 0.5}] and found.best["a"].tolist() == [0, 1, 2]
    assert sorted(found.state) == ["a/b", "c"]


def test_two_are_kept(opened, tmp_path):
    save(opened(), 10, 20, 30)
    assert names(tmp_path) == ["step-00000020.checkpoint", "step-00000030.checkpoint"]


def flipped(data, place):
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize("place", [0, 31, 32, 200, -1], ids=str)
def test_one_flipped_bit_anywhere_is_noticed(opened, said, tmp_path, place):
    save(opened(), 10, 20)
    newest = tmp_path / "step-00000020.checkpoint"
    whole = newest.read_bytes()
    newest.write_bytes(flipped(whole, place % len(whole)))
    assert opened().latest().step == 10
    (text,) = said
    assert "step-00000020.checkpoint" in text and "damaged" in text
    assert names(tmp_path) == ["step-00000010.checkpoint"]


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 500, -1], ids=str)
def test_one_that_is_cut_short_is_noticed(opened, said, tmp_path, size):
    save(opened(), 10, 20)
    newest = tmp_path / "step-00000020.checkpoint"
    newest.write_bytes(newest.read_bytes()[:size])
    assert opened().latest().step == 10
    assert len(said) == 1


def test_one_that_cannot_be_read_is_noticed(opened, said, tmp_path):
    save(opened(), 10)
    (tmp_path / "step-00000020.checkpoint").mkdir()
    (tmp_path / "step-00000030.checkpoint").symlink_to("nowhere")
    kept = opened()
    assert kept.latest().step == 10
    assert len(said) == 2
    save(kept, 20, 30)
    assert kept.latest().step == 30


def test_where_none_is_usable_training_starts_anew(opened, said, tmp_path):
    save(opened(), 10, 20)
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    assert opened().latest() is None
    assert len(said) == 2


@pytest.mark.parametrize("other", [["qat", "sha256:a", None], ["train", "sha256:b", None], ["train", "sha256:a", 1]])
def test_those_of_another_training_are_not_used(opened, said, other):
    save(opened(other), 10)
    assert opened().latest() is None
    assert "another training" in said[0]


def test_a_step_that_the_name_makes_up_is_not_believed(opened, said, tmp_path):
    save(opened(), 10, 20)
    (tmp_path / "step-00000020.checkpoint").rename(tmp_path / "step-99999999.checkpoint")
    kept = opened()
    assert kept.latest().step == 10
    # Else it would count as the newest for ever, and only one of the training's own be kept.
    save(kept, 20, 30)
    assert names(tmp_path) == ["step-00000020.checkpoint", "step-00000030.checkpoint"]


def test_unfinished_ones_are_never_taken_and_do_not_pile_up(opened, tmp_path, monkeypatch):
    kept = opened()
    save(kept, 10)
    monkeypatch.setattr(os, "replace", killed)
    for step in (20, 30):
        with pytest.raises(KeyboardInterrupt):
            kept.save(checkpoint(step))
    assert names(tmp_path) == ["step-00000010.checkpoint", "unfinished.tmp"]
    assert opened().latest().step == 10
    assert names(tmp_path) == ["step-00000010.checkpoint"]


def killed(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_a_clear_failure_and_costs_no_older_checkpoint(opened, tmp_path, monkeypatch, number):
    kept = opened()
    save(kept, 10, 20)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(contract.Failure) as caught:
        kept.save(checkpoint(30))
    assert caught.value.code == "disk-full" and "step 30" in caught.value.message
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_two_processes_do_not_train_in_one_folder(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "_PATIENCE_SECONDS", 0.2)
    kept = opened()
    with pytest.raises(contract.Failure) as caught:
        checkpoints.Checkpoints(str(tmp_path), TRAINING)
    assert caught.value.code == "training-in-use"
    save(kept, 10)
    assert opened().latest().step == 10
