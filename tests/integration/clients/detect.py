"""Run by a client's own Python: ``detect.py CLIENT REQUEST``, where REQUEST is a file with {"models", "pictures"}.

Prints {model: {picture: [{"label", "score", "box": [left, top, right, bottom]}]}} as JSON, boxes in pixels. The client
is given the model's path and nothing else.
"""

import json
import pathlib
import sys


def tflite_support(models, pictures):
    from tflite_support.task import vision

    for model in models:
        detector = vision.ObjectDetector.create_from_file(model)
        for picture in pictures:
            yield model, picture, detector.detect(vision.TensorImage.create_from_file(picture))


def mediapipe(models, pictures):
    import mediapipe
    from mediapipe.tasks.python import vision

    for model in models:
        with vision.ObjectDetector.create_from_model_path(model) as detector:
            for picture in pictures:
                yield model, picture, detector.detect(mediapipe.Image.create_from_file(picture))


def main(client, request):
    asked = json.loads(pathlib.Path(request).read_text())
    found = {model: {} for model in asked["models"]}
    for model, picture, result in globals()[client](asked["models"], asked["pictures"]):
        found[model][picture] = [
            {
                "label": detection.categories[0].category_name,
                "score": detection.categories[0].score,
                "box": [box.origin_x, box.origin_y, box.origin_x + box.width, box.origin_y + box.height],
            }
            for detection in result.detections
            for box in [detection.bounding_box]
        ]
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
