"""Gradients to updates: the optimisers of the manifest.

Where the kernels are loaded, Adam and RMSProp are TensorFlow's own with the arithmetic done by the kernels:
TensorFlow's uses the CPU's approximate reciprocal root, whose bits differ between makers.
"""

import kernels
from tf1 import tf

_train = tf.compat.v1.train


def optimizer_of(params, learning_rate):
    """The tf.train optimiser of the manifest's ``train.optimizer``; ``learning_rate``: a scalar tensor."""
    if params["type"] == "adam":
        adam = _Adam if kernels.loaded() else _train.AdamOptimizer
        return adam(learning_rate, params["beta1"], params["beta2"], params["epsilon"])
    if params["type"] == "rmsprop":
        rmsprop = _RmsProp if kernels.loaded() else _train.RMSPropOptimizer
        return rmsprop(learning_rate, params["decay"], params["momentum"], params["epsilon"])
    return _train.MomentumOptimizer(learning_rate, params["momentum"], use_nesterov=True)


class _Adam(_train.AdamOptimizer):
    _settings = None

    def _apply_dense(self, grad, var):
        if self._settings is None:
            power1, power2 = self._get_beta_accumulators()
            rate = self._lr_t * tf.sqrt(1.0 - power2) / (1.0 - power1)
            self._settings = tf.stack([rate, self._beta1_t, self._beta2_t, self._epsilon_t])
        slots = [self.get_slot(var, "m"), self.get_slot(var, "v")]
        return _assigned(kernels.update("adam", var, slots, grad, self._settings), [var] + slots)


class _RmsProp(_train.RMSPropOptimizer):
    _settings = None

    def _apply_dense(self, grad, var):
        if self._settings is None:
            self._settings = tf.stack(
                [self._learning_rate_tensor, self._decay_tensor, self._momentum_tensor, self._epsilon_tensor]
            )
        slots = [self.get_slot(var, "rms"), self.get_slot(var, "momentum")]
        return _assigned(kernels.update("rmsprop", var, slots, grad, self._settings), [var] + slots)


def _assigned(values, variables):
    return tf.group(*[tf.compat.v1.assign(variable, value) for variable, value in zip(variables, values)])
