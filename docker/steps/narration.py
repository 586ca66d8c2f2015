"""What a training says while it runs: events for people, lines for metrics.jsonl, TensorBoard files."""

import json
import shutil
import time

import contract
from tf1 import tf

# At least this often: steps and seconds.
EVERY_STEPS, EVERY_SECONDS = 10, 1.0


class Narration(object):
    """Follows one run. ``rows`` is what a checkpoint keeps; it holds no clock value, so it is reproducible."""

    def __init__(self, steps, batch_size, folder, first, rows):
        self.rows = list(rows)
        self._steps, self._batch_size, self._first = steps, batch_size, first
        self._started = self._said = time.time()
        self._said_step = first
        self._speed = None
        # Each start would leave a file of its own, and TensorBoard show the steps after the checkpoint twice.
        shutil.rmtree(folder, ignore_errors=True)
        with tf.Graph().as_default():
            self._writer = tf.compat.v1.summary.FileWriter(folder)
        for row in self.rows:
            self._writer.add_summary(_summary(row), row["step"])

    def step(self, number, loss, losses, learning_rate):
        """Step ``number`` (from 1) is done."""
        row = dict(losses, step=number, loss=loss, learning_rate=learning_rate)
        self.rows.append(row)
        self._writer.add_summary(_summary(row), number)
        now = time.time()
        since = number - self._said_step
        first = number == self._first + 1
        if first or number == self._steps or since >= EVERY_STEPS or now - self._said >= EVERY_SECONDS:
            self._say(number, now, since, loss, losses, learning_rate)

    def look(self, figures, picture):
        """Adds ``figures`` (name -> number) to the row of the last step; ``picture``: PNG bytes that show it."""
        self.rows[-1].update(figures)
        row = dict(figures, step=self.rows[-1]["step"])
        self._writer.add_summary(_summary(row, picture), row["step"])

    def _say(self, number, now, since, loss, losses, learning_rate):
        speed = since / max(now - self._said, 1e-6)  # steps a second
        # The first step also pays for the session's warm-up; a running mean keeps the rest readable.
        fresh = self._speed is None or self._said_step == self._first
        self._speed = speed if fresh else 0.8 * self._speed + 0.2 * speed
        contract.emit(
            "progress",
            stage="training",
            step=number,
            steps=self._steps,
            images_per_second=round(self._speed * self._batch_size, 2),
            loss=loss,
            losses=losses,
            learning_rate=learning_rate,
            eta_seconds=round((self._steps - number) / self._speed, 1),
        )
        self._said, self._said_step = now, number

    def resumed_clock(self):
        """Forget the time since the last event: it was not spent on steps."""
        self._said = time.time()

    def flush(self):
        self._writer.flush()

    def close(self):
        self._writer.close()


def write_rows(path, rows):
    """metrics.jsonl: one line a step."""
    with open(path, "w", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(row, sort_keys=True, allow_nan=False) + "\n")


def write_events(path, rows, picture):
    """The same figures as a TensorBoard file, at its last step ``picture`` (PNG bytes, or None).

    Its clock shows a second a step, so that the bytes repeat.
    """
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(tf.compat.v1.Event(wall_time=0.0, file_version="brain.Event:2").SerializeToString())
        for row in rows:
            shown = _summary(row, picture if row is rows[-1] else None)
            event = tf.compat.v1.Event(wall_time=float(row["step"]), step=row["step"], summary=shown)
            writer.write(event.SerializeToString(deterministic=True))


def _summary(row, picture=None):
    values = [
        tf.compat.v1.Summary.Value(tag=name, simple_value=value)
        for name, value in sorted(row.items())
        if name != "step"
    ]
    if picture is not None:
        image = tf.compat.v1.Summary.Image(encoded_image_string=picture)
        values.append(tf.compat.v1.Summary.Value(tag="looks", image=image))
    return tf.compat.v1.Summary(value=values)
