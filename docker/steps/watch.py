"""Looks at a running training now and then: figures, pictures, the best weights so far, and whether to go on."""

import collections

import coco_metrics
import contract
import degenerate
import divergence
import watch_sheet

# What is looked at. records: as of ``records``; truth: COCO dict; named: what to call them.
Held = collections.namedtuple("Held", ["records", "pictures", "truth", "named"])

# One look, as a checkpoint keeps it: step, map, map50, constant (a reason or None), final (at the full input size) and
# shown: what was found in the first pictures, [[box, score, class], ...] each.
Look = collections.namedtuple("Look", ["step", "map", "map50", "constant", "final", "shown"])

MOST_PICTURES = 200
_SHOWN, _SHOWN_BOXES = 4, 3
_LOOKS, _LEAST_STEPS = 8, 50
_LEAST_JUDGED = 8


def interval(params):
    """Steps between looks: the manifest's ``evaluate_every``, or such that there are eight, 50 steps apart at least."""
    return params["evaluate_every"] or max(_LEAST_STEPS, -(-params["steps"] // _LOOKS))


class Watch(object):
    """``looks`` so far, and the ``best`` weights (name -> array) where ``train.validation`` keeps them, else None.

    Without ``train.validation`` nothing is chosen: ``held`` is then of the evaluation split.
    """

    def __init__(self, params, classes, held, looks=(), best=None):
        self._validation, self._classes, self._held = params["validation"], classes, held
        self._steps, self._every = params["steps"], interval(params)
        self.looks, self.best = [Look(*look) for look in looks], best

    def due(self, step):
        """Whether to look after ``step`` steps."""
        return step % self._every == 0 or step == self._steps

    def look(self, step, weights, evaluator, final):
        """Scores ``weights`` after ``step`` steps; ``final``: whether at the model's own input size."""
        held = self._held
        answers = evaluator.answers(weights, held.records, held.pictures)
        found = coco_metrics.score(held.truth, [record.identity for record in held.records], answers)
        # Of fewer pictures two or three may well be alike.
        constant = degenerate.judge(answers, held.truth)["reason"] if len(answers) >= _LEAST_JUDGED else None
        shown = [_plain(answer) for answer in answers[:_SHOWN]]
        look = Look(step, found["map"], found["map50"], constant, final, shown)
        best = self._best_look()
        self.looks.append(look)
        keeps = self._validation and self._validation["keep"] == "best"
        if keeps and final and (best is None or look.map > best.map):
            self.best = dict(weights)
        text = "step %d: mAP %.3f, mAP@0.5 %.3f on %s" % (step, look.map, look.map50, held.named)
        contract.emit("message", text=text + (" (%s)" % look.constant if look.constant else ""))
        divergence.check_answers([(one.step, one.constant) for one in self.looks], self._steps)
        return look

    def enough(self):
        """Whether ``train.validation.patience`` looks in a row were no better than the best before them."""
        patience = self._validation and self._validation["patience"]
        final = [look for look in self.looks if look.final]
        if not (patience and final):
            return False
        best = self._best_look()
        return sum(look.step > best.step for look in final) >= patience

    def best_step(self):
        """The step that ``best`` is of; None where nothing is chosen."""
        return self._best_look().step if self.best is not None else None

    def picture(self, last=False):
        """The looks, or only the last of them, as one PIL image with a row each."""
        return watch_sheet.sheet(self._held, self.looks[-1:] if last else self.looks, self._classes)

    def _best_look(self):
        final = [look for look in self.looks if look.final]
        return max(final, key=lambda look: (look.map, -look.step)) if final else None


def _plain(answer):
    boxes, scores, classes = answer
    rows = zip(boxes[:_SHOWN_BOXES].tolist(), scores.tolist(), classes.tolist())
    return [[box, score, label] for box, score, label in rows]
