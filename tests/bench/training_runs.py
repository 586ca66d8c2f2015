"""One training for tests/bench, by a toolchain's Python: ``training_runs.py WAY FOLDER OUT SETTINGS``.

FOLDER holds what ingest wrote of photographs of one class; SETTINGS is a JSON object: ``depth``, ``least`` (channels
of a layer), ``size``, ``batch``, ``steps``, ``seed``, ``base`` (of the learning rate's cosine) and ``every``, steps
between checkpoints, or null. The last line of standard output is a JSON object. What is trained is left in OUT for
``scoring_runs.py``.
"""

import json
import os
import resource
import sys
import time

WARM_UP = 5

# The published ssd_mobilenet_v2_coco.config, but for depth, size, batch, learning rate, classes and paths.
STOCK = """
model { ssd {
  num_classes: 1
  box_coder { faster_rcnn_box_coder { y_scale: 10 x_scale: 10 height_scale: 5 width_scale: 5 } }
  matcher { argmax_matcher { matched_threshold: 0.5 unmatched_threshold: 0.5 ignore_thresholds: false
    negatives_lower_than_unmatched: true force_match_for_each_row: true } }
  similarity_calculator { iou_similarity { } }
  anchor_generator { ssd_anchor_generator { num_layers: 6 min_scale: 0.2 max_scale: 0.95
    aspect_ratios: 1.0 aspect_ratios: 2.0 aspect_ratios: 0.5 aspect_ratios: 3.0 aspect_ratios: 0.3333 } }
  image_resizer { fixed_shape_resizer { height: SIZE width: SIZE } }
  box_predictor { convolutional_box_predictor {
    min_depth: 0 max_depth: 0 num_layers_before_predictor: 0 use_dropout: false kernel_size: 1 box_code_size: 4
    apply_sigmoid_to_scores: false conv_hyperparams { HYPER } } }
  feature_extractor { type: "ssd_mobilenet_v2" min_depth: LEAST depth_multiplier: DEPTH conv_hyperparams { HYPER } }
  loss {
    classification_loss { weighted_sigmoid { } }
    localization_loss { weighted_smooth_l1 { } }
    hard_example_miner { num_hard_examples: 3000 iou_threshold: 0.99 loss_type: CLASSIFICATION
      max_negatives_per_positive: 3 min_negatives_per_image: 3 }
    classification_weight: 1.0 localization_weight: 1.0 }
  normalize_loss_by_num_matches: true
  post_processing {
    batch_non_max_suppression { score_threshold: 1e-8 iou_threshold: 0.6 max_detections_per_class: 100
      max_total_detections: 100 }
    score_converter: SIGMOID }
} }
train_config {
  batch_size: BATCH
  keep_checkpoint_every_n_hours: 0.0001
  optimizer { rms_prop_optimizer {
    learning_rate { cosine_decay_learning_rate { learning_rate_base: BASE total_steps: STEPS
      warmup_learning_rate: 0.0 warmup_steps: 0 } }
    momentum_optimizer_value: 0.9 decay: 0.9 epsilon: 1.0 } }
  data_augmentation_options { random_horizontal_flip { } }
  data_augmentation_options { ssd_random_crop { } }
}
train_input_reader { tf_record_input_reader { input_path: "FOLDER/train.tfrecord" } label_map_path: "LABELS" }
eval_config { num_examples: 40 max_evals: 1 }
eval_input_reader { tf_record_input_reader { input_path: "FOLDER/eval.tfrecord" } label_map_path: "LABELS" }
"""
HYPER = """activation: RELU_6 regularizer { l2_regularizer { weight: 0.00004 } }
  initializer { truncated_normal_initializer { mean: 0.0 stddev: 0.03 } }
  batch_norm { train: true scale: true center: true decay: 0.9997 epsilon: 0.001 }"""

# The same in the words of a manifest.
LOSS = {"type": "mined", "negatives_per_positive": 3, "least_negatives": 3, "localization_weight": 1.0}
ANCHORS = {"min_scale": 0.2, "max_scale": 0.95, "aspect_ratios": [1.0, 2.0, 0.5, 3.0, 0.3333], "reduce_lowest": True}


def main(way, folder, out, settings):
    clock = Clock()
    train = model_main if way == "model_main" else own
    train(way, folder, out, settings, clock)
    wall = sorted(after - before for before, after in zip(clock.walls[WARM_UP:], clock.walls[WARM_UP + 1 :]))
    counted = len(clock.walls) - 1 - WARM_UP
    found = {
        "seconds": wall[len(wall) // 2],
        "cpu": (clock.cpus[-1] - clock.cpus[WARM_UP]) / counted,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps(found))


class Clock(object):
    def __init__(self):
        self.walls, self.cpus = [], []

    def tick(self):
        self.walls.append(time.time())
        self.cpus.append(time.process_time())


def network(settings):
    """The manifest's ``model`` section."""
    return {
        "architecture": "ssd_mobilenet_v2",
        "depth_multiplier": settings["depth"],
        "min_depth": settings["least"],
        "input_shape": [settings["size"], settings["size"], 3],
        "anchors": ANCHORS,
    }


def recipe(settings):
    """The manifest's ``train`` section."""
    return {
        "steps": settings["steps"],
        "batch_size": settings["batch"],
        "seed": settings["seed"],
        "optimizer": {"type": "rmsprop", "decay": 0.9, "momentum": 0.9, "epsilon": 1.0},
        "learning_rate": {"schedule": "cosine", "base": settings["base"], "warmup_steps": 0, "drops": []},
        "loss": LOSS,
        "clip_norm": 0.0,
        "ema": None,
        "validation": None,
        "evaluate_every": settings["every"],
        "augmentation": ["horizontal_flip", "ssd_random_crop"],
        "checkpoint_every": 10**6,
        "progressive": None,
    }


def model_main(way, folder, out, settings, clock):
    """The Estimator that model_main makes, trained as it trains it, without the evaluation at the end."""
    import tensorflow as tf
    from object_detection import model_hparams, model_lib

    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    labels, config = os.path.join(out, "labels.pbtxt"), os.path.join(out, "pipeline.config")
    with open(labels, "w") as stream:
        stream.write("item { id: 1 name: 'thing' }\n")
    values = {"HYPER": HYPER, "FOLDER": folder, "LABELS": labels}
    values.update((name.upper(), repr(settings[name])) for name in ("depth", "least", "size", "batch", "base", "steps"))
    text = STOCK
    for name, value in values.items():
        text = text.replace(name, value)
    with open(config, "w") as stream:
        stream.write(text)
    run_config = tf.estimator.RunConfig(
        model_dir=os.path.join(out, "model"),
        tf_random_seed=settings["seed"],
        save_checkpoints_steps=settings["every"],
        # By time, as it comes, unless curves are wanted.
        save_checkpoints_secs=None if settings["every"] else 600,
        keep_checkpoint_max=1000,
    )
    made = model_lib.create_estimator_and_inputs(
        run_config=run_config,
        hparams=model_hparams.create_hparams(None),
        pipeline_config_path=config,
        train_steps=settings["steps"],
        sample_1_of_n_eval_examples=1,
    )

    class Hook(tf.estimator.SessionRunHook):
        def after_run(self, run_context, run_values):
            clock.tick()

    made["estimator"].train(made["train_input_fn"], hooks=[Hook()], max_steps=settings["steps"])


def own(way, folder, out, settings, clock):
    """This project's loop; ``every``: looks at the evaluation split, whose figures go to metrics.jsonl."""
    import train as train_module  # noqa: I001  (first: it sets TensorFlow up)

    import contract
    import kernels
    import narration

    contract.emit = lambda *args, **detail: None
    params = {"model": network(settings), "classes": ["thing"], "cpu_class": "x86-64-v3"}
    if way != "kernels":
        kernels.load = lambda *_: False
    params["train"] = dict(recipe(settings), init={"type": "none"})
    if settings["every"] is None:
        params["train"]["evaluate_every"] = 10**6
    step = narration.Narration.step

    def timed(self, *arguments):
        step(self, *arguments)
        clock.tick()

    narration.Narration.step = timed
    train_module.main(contract.Request("train", params, {"data": folder}, out, 2, "n"))
    assert kernels.loaded() == (way == "kernels"), "this toolchain has no kernels"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4]))
