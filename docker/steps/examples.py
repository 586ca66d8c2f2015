"""Writes pictures as tf.Example records with the feature names of the TensorFlow Object Detection API."""


def write(path, pictures, classes, progress):
    """Writes ``pictures`` in their order to the TFRecord file ``path``; calls ``progress(done, total)``.

    Boxes are shares of width and height; labels count from 1 in the order of ``classes``. ``image/source_id``
    is the picture's place in the list, from 1, which is also its id in the COCO ground truth.
    """
    import tensorflow as tf  # Slow to import, and absent where the readers are tested.

    with tf.io.TFRecordWriter(path) as writer:
        for number, picture in enumerate(pictures, 1):
            example = _example(tf, number, picture, classes)
            # Map fields have no order of their own: without this, bytes differ from run to run.
            writer.write(example.SerializeToString(deterministic=True))
            progress(number, len(pictures))


def _example(tf, number, picture, classes):
    encoded, kind = picture.read()
    boxes = picture.boxes

    def texts(values):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode() for value in values]))

    def whole(values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    def shares(values, side):
        return tf.train.Feature(float_list=tf.train.FloatList(value=[value / side for value in values]))

    return tf.train.Example(
        features=tf.train.Features(
            feature={
                "image/height": whole([picture.height]),
                "image/width": whole([picture.width]),
                "image/filename": texts([picture.file_name]),
                "image/source_id": texts([str(number)]),
                "image/key/sha256": texts([picture.sha256]),
                "image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded])),
                "image/format": texts([kind]),
                "image/object/bbox/xmin": shares([box.xmin for box in boxes], picture.width),
                "image/object/bbox/ymin": shares([box.ymin for box in boxes], picture.height),
                "image/object/bbox/xmax": shares([box.xmax for box in boxes], picture.width),
                "image/object/bbox/ymax": shares([box.ymax for box in boxes], picture.height),
                "image/object/class/text": texts([box.label for box in boxes]),
                "image/object/class/label": whole([classes.index(box.label) + 1 for box in boxes]),
                "image/object/difficult": whole([int(box.ignored) for box in boxes]),
            }
        )
    )
