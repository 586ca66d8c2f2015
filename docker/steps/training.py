"""The training loop: from a request to the final weights, step by step, from the newest checkpoint on."""

import os

import batches
import batchnorm
import checkpoints
import contract
import divergence
import drawing
import graph as graph_module
import kernels
import narration
import phases
import records as records_module
import schedule

try:
    import evaluation
    import watch as watch_module
except ImportError:  # a toolchain without pycocotools
    evaluation = watch_module = None

# Pictures that the batch-norm averages are measured on, at most.
AVERAGED_PICTURES = 800


class Training(object):
    """One training, from its request to the final weights.

    ``params``: the manifest's ``train`` section. ``records``: what to learn from. ``first``: a function of the
    network's shapes by name and the names of the trained variables that gives the arrays to begin with, by name.
    ``rewrite``: see ``graph.TrainingGraph``; batch norm then stays as ``first`` gives it. ``held``: the ``watch.Held``
    to watch it by.

    Once it has run, ``rows`` are the lines of metrics.jsonl and ``watch`` the ``watch.Watch`` (None without ``held``).
    """

    def __init__(self, request, params, records, first=None, rewrite=None, held=None):
        self.model, self.classes, self.records = request.params["model"], request.params["classes"], records
        self.rows, self.watch = [], None
        self._params, self._first, self._rewrite, self._held = params, first, rewrite, held
        # Without kernels, where they could not be compiled, the same key gives other bits.
        self._identity = [request.step, request.key, kernels.loaded()]
        self._checkpoints = None
        self._evaluator, self._looked_at = None, (0, None)
        self._scratch = contract.output_path(request, contract.SCRATCH)
        self._pictures = records_module.Pictures(records)
        self._stream = batches.Stream(
            records, self._pictures, params["batch_size"], params["seed"], params["augmentation"]
        )

    def run(self):
        """Trains from the newest checkpoint, or from the start; returns the final weights by name."""
        steps = self._params["steps"]
        self._checkpoints = checkpoints.Checkpoints(self._scratch, self._identity)
        start = self._checkpoints.latest() or checkpoints.Checkpoint(0, None, [])
        if start.step:
            contract.emit("message", text="going on from step %d" % start.step)
        if self._held is not None:
            self.watch = watch_module.Watch(self._params, self.classes, self._held, start.looks, start.best)
        events = os.path.join(self._scratch, "events")
        narrator = narration.Narration(steps, self._params["batch_size"], events, start.step, start.rows)
        state, weights, begun = start.state, None, False
        stretches = phases.plan(self.model, self._params)
        for phase in stretches:
            final = phase is stretches[-1]
            if phase.last <= start.step and not final:
                continue
            model = dict(self.model, input_shape=phase.input_shape)
            built = graph_module.TrainingGraph(model, self.classes, self._params, self._rewrite)
            with built.session() as session:
                if self._first is not None and not begun:
                    # Also where a checkpoint of this training goes on: what it began with belongs to the result.
                    first, begun = self._first(built.shapes, built.trainable), True
                    if state is None:
                        built.begin(session, first)
                if state is not None:
                    built.restore(session, state)
                numbers = range(max(phase.first, start.step), phase.last)
                self._stretch(built, session, model, numbers, final, narrator)
                state = built.state(session)
                if final:
                    weights = self._finished(built, session, narrator.rows[-1]["step"])
        narrator.close()
        self._checkpoints.close()
        self.rows = narrator.rows
        return weights

    def _stretch(self, built, session, model, numbers, final, narrator):
        """Runs the steps ``numbers`` at one input size."""
        if self.watch is None:
            return self._steps(built, session, numbers, narrator, lambda done: False)
        if self.watch.enough():  # A checkpoint of the last step was left, and nothing after it.
            return None
        evaluator = evaluation.Evaluator(model, self.classes)

        def look(done):
            if not self.watch.due(done):
                return False
            weights = self._weights(built, session)
            self._looked_at = (done, weights)
            seen = self.watch.look(done, weights, evaluator, final)
            narrator.look({"map": seen.map, "map50": seen.map50}, drawing.png(self.watch.picture(last=True)))
            return self.watch.enough()

        self._steps(built, session, numbers, narrator, look)
        if final:
            self._evaluator = evaluator
        else:
            evaluator.close()
        return None

    def evaluator(self, rewrite=None):
        """An ``evaluation.Evaluator`` at the model's own input size, for whoever closes it: that of the looks, once
        they are over, or a new one. ``rewrite`` as there."""
        if self._evaluator is not None and rewrite is None:
            return self._evaluator
        return evaluation.Evaluator(self.model, self.classes, rewrite)

    def _steps(self, built, session, numbers, narrator, look):
        """``look``: called after each step with the number of steps done, says whether that is enough."""
        anchors, steps = built.anchors(session), self._params["steps"]
        losses = divergence.Losses(narrator.rows)
        narrator.resumed_clock()

        def make(number):
            return built.feed(self._stream.batch(number, built.size), anchors)

        for number, feed in zip(numbers, batches.prefetch(make, numbers)):
            rate = feed[built.learning_rate] = schedule.learning_rate(self._params["learning_rate"], number, steps)
            if built.averaged:
                feed[built.averaging] = schedule.averaging(self._params["ema"], number)
            loss, parts = session.run([built.loss, built.losses, built.update], feed)[:2]
            done = number + 1
            losses.check(loss, done, rate)
            narrator.step(done, float(loss), {name: float(value) for name, value in parts.items()}, rate)
            enough = look(done)
            if enough:
                contract.emit("message", text="no better for long enough: training ends at step %d" % done)
            if done % self._params["checkpoint_every"] == 0 or done == steps or enough:
                narrator.flush()
                self._checkpoints.save(self._checkpoint(done, built.state(session), narrator.rows))
            if enough:
                return

    def _checkpoint(self, done, state, rows):
        if self.watch is None:
            return checkpoints.Checkpoint(done, state, rows)
        return checkpoints.Checkpoint(done, state, rows, self.watch.looks, self.watch.best)

    def _finished(self, built, session, last):
        """The weights that the training was for: the best that were seen, or those of the step ``last``."""
        if self.watch is not None and self.watch.best is not None:
            weights = self.watch.best
            contract.emit("message", text="taking the weights of step %d, the best" % self.watch.best_step())
        elif self._looked_at[0] == last:
            weights = self._looked_at[1]
        else:
            contract.emit("message", text="measuring batch-norm averages")
            weights = self._weights(built, session)
        divergence.check_weights(weights, self._params["steps"])
        return weights

    def _weights(self, built, session):
        """The weights by name as they would be released now: averaged over steps if ``train.ema`` wants it, with their
        batch-norm averages measured. Leaves the session as it was."""
        weights = session.run(built.weights)
        if self._rewrite is not None:
            return weights
        state = None
        if built.averaged:
            state = built.state(session)
            averaged = session.run(built.averaged)
            built.restore(session, dict(state, **averaged))
            weights.update(averaged)
        batch_size = self._params["batch_size"]
        seen = batches.calm(self.records, self._pictures, batch_size, built.size, AVERAGED_PICTURES)
        weights.update(batchnorm.averages(built, session, seen))
        if state is not None:
            built.restore(session, state)
        return weights
