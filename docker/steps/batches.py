"""Batch k of a training, as a pure function of (seed, k), and a thread that makes the next ones ready."""

import collections
import queue
import threading

import augment
import numpy as np

# images: uint8 [batch, height, width, 3]. boxes, labels: one array a picture, as in records.Record.
Batch = collections.namedtuple("Batch", ["images", "boxes", "labels"])

_ORDER, _VIEW = 0, 1


def generator(seed, purpose, number):
    """A numpy Generator keyed by (seed, purpose, number): streams of different keys are independent."""
    return np.random.Generator(np.random.Philox(key=[seed, (purpose << 60) | number]))


class Stream(object):
    """The endless training stream: each epoch is one seeded permutation of the pictures."""

    def __init__(self, records, pictures, batch_size, seed, augmentation):
        self._records, self._pictures = records, pictures
        self._batch_size, self._seed, self._augmentation = batch_size, seed, tuple(augmentation)

    def batch(self, number, size):
        """Batch ``number`` (from 0) with pictures of ``size`` (height, width)."""
        first = number * self._batch_size
        views = [self._view(place, size) for place in range(first, first + self._batch_size)]
        images, boxes, labels = zip(*views)
        return Batch(np.stack(images), list(boxes), list(labels))

    def _view(self, place, size):
        epoch, offset = divmod(place, len(self._records))
        index = int(generator(self._seed, _ORDER, epoch).permutation(len(self._records))[offset])
        record = self._records[index]
        return augment.apply(
            self._pictures[index],
            record.boxes,
            record.labels,
            size,
            self._augmentation,
            generator(self._seed, _VIEW, place),
        )


def whole(records, pictures, indices, size):
    """A Batch of the given pictures as evaluation sees them: whole, unaltered."""
    images = [augment.render(pictures[i], (0.0, 0.0, 1.0, 1.0), size) for i in indices]
    return Batch(
        np.stack([np.asarray(image, np.uint8) for image in images]),
        [records[i].boxes for i in indices],
        [records[i].labels for i in indices],
    )


def calm(records, pictures, batch_size, size, most):
    """The first pictures, ``most`` of them at the most, ``whole``, in batches that are all full."""
    for first in range(0, min(len(records), most), batch_size):
        indices = [index % len(records) for index in range(first, first + batch_size)]
        yield whole(records, pictures, indices, size)


def prefetch(make, numbers, depth=3):
    """Yields ``make(number)`` for each of ``numbers``, in order, made ahead of time by one thread.

    An error in ``make`` is raised here. Closing the generator stops the thread.
    """
    ready, stop = queue.Queue(maxsize=depth), threading.Event()

    def put(item):
        while not stop.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except queue.Full:
                continue

    def work():
        try:
            for number in numbers:
                if stop.is_set():
                    return
                put((make(number), None))
        except BaseException as error:
            put((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        for _ in numbers:
            value, error = ready.get()
            if error is not None:
                raise error
            yield value
    finally:
        stop.set()
        thread.join()
