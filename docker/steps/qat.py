"""Quantization-aware training: fine-tunes the float training's weights under the rounding of 8 bits.

The same loop as ``train``, so as reproducible and resumable; writes the same files. Its model.ckpt also holds the
range of every rounding.
"""

import train  # noqa: I001  (first: it sets TensorFlow up)

import contract
import fakequant
import records as records_module
import training
from tf1 import tf


def main(request):
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    quantization = request.params["quantization"]
    params = dict(
        request.params["train"],
        steps=quantization["steps"],
        learning_rate={"schedule": "cosine", "base": quantization["learning_rate"], "warmup_steps": 0},
        optimizer={"type": "adam", "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
        progressive=None,
        ema=None,
        validation=None,
        evaluate_every=None,
    )
    weights = _read(contract.input_path(request, "weights", "model.ckpt"))
    records = records_module.read(contract.input_path(request, "data", "train.tfrecord"))
    rewrite = fakequant.for_training(quantization["delay"])
    trained = FineTuning(request, params, records, lambda *_: weights, rewrite)
    train.finish(request, trained, fakequant.for_inference)


class FineTuning(training.Training):
    """A training whose result must have usable ranges."""

    def run(self):
        weights = super(FineTuning, self).run()
        contract.emit("message", text="%d ranges learnt" % fakequant.check_ranges(weights))
        return weights


def _read(prefix):
    """The variables of a checkpoint by name."""
    reader = tf.compat.v1.train.NewCheckpointReader(prefix)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
