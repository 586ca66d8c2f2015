"""Reads the records that ingest wrote: encoded pictures with their boxes."""

import collections
import io

import numpy as np
from PIL import Image

# encoded: bytes of a JPEG or PNG. boxes: float32 [n, 4], ymin xmin ymax xmax as shares of the picture.
# labels: int32 [n], from 1, or IGNORED for a box that is neither learnt nor scored. identity: its id in eval.json.
Record = collections.namedtuple("Record", ["encoded", "boxes", "labels", "identity"])

IGNORED = -1


def read(path):
    """The Records of a TFRecord file, in its order."""
    from tf1 import tf  # Slow to import, and absent where the other half of this module is tested.

    return [_record(tf.train.Example.FromString(text)) for text in tf.compat.v1.io.tf_record_iterator(path)]


def _record(example):
    feature = example.features.feature
    sides = [feature["image/object/bbox/" + side].float_list.value for side in ("ymin", "xmin", "ymax", "xmax")]
    labels = np.array(feature["image/object/class/label"].int64_list.value, np.int32)
    labels[np.array(feature["image/object/difficult"].int64_list.value, bool)] = IGNORED
    return Record(
        encoded=feature["image/encoded"].bytes_list.value[0],
        boxes=np.array(sides, np.float32).reshape(4, -1).T.copy(),
        labels=labels,
        identity=int(feature["image/source_id"].bytes_list.value[0]),
    )


def decode(encoded):
    """The picture as a PIL RGB image, fully loaded."""
    return Image.open(io.BytesIO(encoded), formats=["JPEG", "PNG"]).convert("RGB")


class Pictures(object):
    """Decoded pictures of some records, kept in memory as long as they fit.

    What is kept never changes what is returned, only how fast.
    """

    def __init__(self, records, budget_bytes=2 << 30):
        self._records, self._left, self._kept = records, budget_bytes, {}

    def __getitem__(self, index):
        picture = self._kept.get(index)
        if picture is None:
            picture = decode(self._records[index].encoded)
            size = picture.width * picture.height * 4  # PIL keeps RGB in four bytes a pixel.
            if size <= self._left:
                self._left -= size
                self._kept[index] = picture
        return picture
