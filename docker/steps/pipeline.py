"""The network: manifest parameters -> Object Detection API configuration -> detection model.

The one place where the model is described; training and export both build it from here, so that they cannot
disagree about anchors, box coding, normalisation or post-processing.
"""

import functools

import numpy as np
from google.protobuf import text_format
from object_detection.anchor_generators import grid_anchor_generator
from object_detection.builders import model_builder
from object_detection.core import post_processing, standard_fields
from object_detection.protos import pipeline_pb2
from tf1 import tf

# What a network trained without post-processing in its parameters is evaluated with: nothing is left out.
_MAX_DETECTIONS = 100
_NMS = {"mode": "fast", "score_threshold": 1e-8, "iou_threshold": 0.6}
# What a loss weighs, and where its class predictions begin.
_LOSSES = {
    "focal": "classification_loss { weighted_sigmoid_focal { alpha: %(alpha)r gamma: %(gamma)r } }",
    "mined": """classification_loss { weighted_sigmoid { } }
    hard_example_miner { num_hard_examples: 3000 iou_threshold: 0.99 loss_type: CLASSIFICATION
      max_negatives_per_positive: %(negatives_per_positive)d min_negatives_per_image: %(least_negatives)d }""",
}
_CLASS_BIASES = {"focal": -4.0, "mined": 0.0}
# For graphs that are not trained: the API builds a loss all the same.
_ANY_LOSS = {"type": "focal", "alpha": 0.5, "gamma": 2.0, "localization_weight": 0.3}
_SUPPRESSION = {"fast": "use_class_agnostic_nms: true max_classes_per_detection: 1", "regular": ""}

# Focal loss (Lin et al., 2017) in place of hard negatives: mined negatives keep a small network that starts from
# nothing at one answer for all classes. The bias starts each class at a score of 0.02, as that paper advises. Mined
# negatives are there for whoever wants the published recipe.
#
# At a weight of 1 the localisation loss (offsets scaled by ten, four of them) swamps the classes' gradient: measured on
# the drawn shapes, the class of a positive anchor is right in 0.44 of all cases after 200 steps, at 0.3 in 0.61, at 0.1
# in 0.81. Boxes want more than 0.1: on raccoons held out of the training pictures 0.1 gives a mAP of 0.254, 0.3 of
# 0.319; on shapes, trained to the end, 0.572 and 0.635.
#
# The frozen graph suppresses as the TFLite operator will, so that both answer the same question. Fast: a box has its
# best class and one suppression serves all classes. Regular: each class is suppressed by itself.
#
# SSDLite is what the API's ssdlite_mobilenet_v2 configurations are: the same extractor with separable convolutions in
# the extra layers and, 3x3, in the predictors (Sandler et al., MobileNetV2, 2018). With separable predictors the API
# passes over class_prediction_bias_init, so graph.py sets that bias: without it the first classification loss is 33
# instead of 2 (3 classes).
#
# As in the API's detectors, a depth_multiplier below 1 narrows the last convolution (1280 channels) as well; slim's own
# classifiers keep it whole.
#
# Batch-norm epsilon and initialisers are the API's own for ssd_mobilenet_v2 on COCO. The moving averages of
# training are not used (batchnorm.py), so their decay is left as the API has it.
_TEMPLATE = """
model { ssd {
  num_classes: %(num_classes)d
  box_coder { faster_rcnn_box_coder { y_scale: 10 x_scale: 10 height_scale: 5 width_scale: 5 } }
  matcher { argmax_matcher {
    matched_threshold: 0.5 unmatched_threshold: 0.5 ignore_thresholds: false
    negatives_lower_than_unmatched: true force_match_for_each_row: true } }
  similarity_calculator { iou_similarity { } }
  anchor_generator { ssd_anchor_generator {
    num_layers: 6 min_scale: %(min_scale)r max_scale: %(max_scale)r %(aspect_ratios)s
    reduce_boxes_in_lowest_layer: %(reduce_lowest)s } }
  image_resizer { fixed_shape_resizer { height: %(height)d width: %(width)d } }
  box_predictor { convolutional_box_predictor {
    min_depth: 0 max_depth: 0 num_layers_before_predictor: 0 use_dropout: false kernel_size: %(kernel)d
    use_depthwise: %(separable)s
    box_code_size: 4 class_prediction_bias_init: %(class_bias)r apply_sigmoid_to_scores: false
    conv_hyperparams { %(hyperparams)s } } }
  feature_extractor {
    type: "ssd_mobilenet_v2" min_depth: %(min_depth)d depth_multiplier: %(depth_multiplier)r
    use_depthwise: %(separable)s
    conv_hyperparams { %(hyperparams)s } }
  loss {
    %(loss)s
    localization_loss { weighted_smooth_l1 { } }
    classification_weight: 1.0 localization_weight: %(localization_weight)r }
  normalize_loss_by_num_matches: true
  post_processing {
    batch_non_max_suppression {
      score_threshold: %(score_threshold)r iou_threshold: %(iou_threshold)r
      max_detections_per_class: %(max_detections)d max_total_detections: %(max_detections)d
      %(suppression)s }
    score_converter: SIGMOID }
} }
"""

_HYPERPARAMS = """
  activation: RELU_6
  regularizer { l2_regularizer { weight: 0.00004 } }
  initializer { truncated_normal_initializer { mean: 0.0 stddev: 0.03 } }
  batch_norm { train: true scale: true center: true decay: 0.9997 epsilon: 0.001 }
"""


def class_bias(loss):
    """What the class predictions' bias is set to before training with ``loss``, the manifest's ``train.loss``."""
    return _CLASS_BIASES[loss["type"]]


def pipeline_config(model_params, classes, quantization_aware=False, loss=None):
    """The TrainEvalPipelineConfig of a manifest's ``model`` section and its list of class names.

    With ``quantization_aware`` the API's exporters put the rounding to 8 bits into the graph. ``loss``: the manifest's
    ``train.loss``, where the graph is to be trained.
    """
    loss = loss or _ANY_LOSS
    height, width, _ = model_params["input_shape"]
    nms = model_params.get("nms", _NMS)
    anchors = model_params["anchors"]
    separable = model_params["architecture"] == "ssdlite_mobilenet_v2"
    text = _TEMPLATE % {
        "num_classes": len(classes),
        "min_scale": float(anchors["min_scale"]),
        "max_scale": float(anchors["max_scale"]),
        "aspect_ratios": " ".join("aspect_ratios: %r" % float(ratio) for ratio in anchors["aspect_ratios"]),
        "reduce_lowest": str(anchors["reduce_lowest"]).lower(),
        "separable": str(separable).lower(),
        "kernel": 3 if separable else 1,
        "suppression": _SUPPRESSION[nms["mode"]],
        "class_bias": class_bias(loss),
        "loss": _LOSSES[loss["type"]] % loss,
        "localization_weight": float(loss["localization_weight"]),
        "height": height,
        "width": width,
        "min_depth": model_params["min_depth"],
        "depth_multiplier": float(model_params["depth_multiplier"]),
        "max_detections": model_params.get("max_detections", _MAX_DETECTIONS),
        "score_threshold": float(nms["score_threshold"]),
        "iou_threshold": float(nms["iou_threshold"]),
        "hyperparams": _HYPERPARAMS,
    }
    if quantization_aware:
        text += "graph_rewriter { quantization { weight_bits: 8 activation_bits: 8 } }"
    return text_format.Parse(text, pipeline_pb2.TrainEvalPipelineConfig())


def build_model(model_params, classes, is_training, loss=None):
    """The API's DetectionModel (SSDMetaArch), to be called inside the graph that it is for."""
    config = pipeline_config(model_params, classes, loss=loss)
    return model_builder.build(config.model, is_training=is_training, add_summaries=False)


def _with_float_classes(suppress):
    """Mends the API's suppression for all classes at once: it answers with int64 classes where its caller, which
    maps it over a batch, has promised float32, and any batch of unknown size fails when it runs."""

    @functools.wraps(suppress)
    def mended(*arguments, **options):
        boxes, count = suppress(*arguments, **options)
        field = standard_fields.BoxListFields.classes
        boxes.set_field(field, tf.cast(boxes.get_field(field), tf.float32))
        return boxes, count

    return mended


post_processing.class_agnostic_non_max_suppression = _with_float_classes(
    post_processing.class_agnostic_non_max_suppression
)


class _ExactRoots(object):
    """TensorFlow as anchors are made with it. Its own roots of eight numbers and more start from approximations of the
    CPU, which differ between makers."""

    def __getattr__(self, name):
        return getattr(tf, name)

    @staticmethod
    def sqrt(ratios):
        return tf.constant(np.sqrt(np.array(ratios, np.float32)))


grid_anchor_generator.tf = _ExactRoots()
