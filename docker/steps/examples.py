"""Writes pictures as tf.Example records with the feature names of the TensorFlow Object Detection API."""

import collections
import concurrent.futures

_AHEAD = 8


def write(path, pictures, classes, progress):
    """Writes ``pictures`` in their order to the TFRecord file ``path``; calls ``progress(done, total)``.

    Boxes are shares of width and height; labels count from 1 in the order of ``classes``. ``image/source_id``
    is the picture's place in the list, from 1, which is also its id in the COCO ground truth.
    """
    from tf1 import tf  # Slow to import, and absent where the readers are tested.

    make = _maker(tf.train, classes)
    with tf.io.TFRecordWriter(path) as writer, concurrent.futures.ThreadPoolExecutor(2) as pool:
        # Reading and hashing lets go of Python's lock: the next pictures are read while one is written.
        ahead = collections.deque(pool.submit(picture.read) for picture in pictures[:_AHEAD])
        for number, picture in enumerate(pictures, 1):
            encoded, kind = ahead.popleft().result()
            if number + _AHEAD <= len(pictures):
                ahead.append(pool.submit(pictures[number + _AHEAD - 1].read))
            example = make(number, picture, encoded, kind)
            # Map fields have no order of their own: without this, bytes differ from run to run.
            writer.write(example.SerializeToString(deterministic=True))
            progress(number, len(pictures))


def _maker(train, classes):
    """A function that makes a tf.Example of a picture. ``train`` is tf.train; its names are looked up once."""
    Example, Features, Feature = train.Example, train.Features, train.Feature
    Bytes, Int64, Float = train.BytesList, train.Int64List, train.FloatList
    numbers = {label: number for number, label in enumerate(classes, 1)}

    def texts(values):
        return Feature(bytes_list=Bytes(value=[value.encode() for value in values]))

    def whole(values):
        return Feature(int64_list=Int64(value=values))

    def shares(values, side):
        return Feature(float_list=Float(value=[value / side for value in values]))

    def make(number, picture, encoded, kind):
        boxes = picture.boxes
        feature = {
            "image/height": whole([picture.height]),
            "image/width": whole([picture.width]),
            "image/filename": texts([picture.file_name]),
            "image/source_id": texts([str(number)]),
            "image/key/sha256": texts([picture.sha256]),
            "image/encoded": Feature(bytes_list=Bytes(value=[encoded])),
            "image/format": texts([kind]),
            "image/object/bbox/xmin": shares([box.xmin for box in boxes], picture.width),
            "image/object/bbox/ymin": shares([box.ymin for box in boxes], picture.height),
            "image/object/bbox/xmax": shares([box.xmax for box in boxes], picture.width),
            "image/object/bbox/ymax": shares([box.ymax for box in boxes], picture.height),
            "image/object/class/text": texts([box.label for box in boxes]),
            "image/object/class/label": whole([numbers[box.label] for box in boxes]),
            "image/object/difficult": whole([int(box.ignored) for box in boxes]),
        }
        return Example(features=Features(feature=feature))

    return make
