"""The ``dataset`` section: where pictures come from, what is in them, which are held out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, Tag, model_validator

from builder.manifest.datasource import Globs, Inside, Source
from builder.manifest.fields import Part, Problem, Seed, Share, case, check_line, refuse, tagged, unique
from builder.manifest.split import PLACEHOLDER, ByFolder, ByList, Drawn, Split

Label = Annotated[str, StringConstraints(max_length=64), AfterValidator(check_line)]
Labels = Annotated[tuple[Label, ...], Field(min_length=1, max_length=1000), AfterValidator(unique("class"))]
Shape = Literal["circle", "square", "triangle"]
Marked = Annotated[
    Literal["ignore", "keep", "drop"],
    Field(
        description="Boxes that the data marks difficult (VOC, TFRecord), crowd (COCO) or group-of (Open Images): "
        "'ignore' neither learns nor scores them, 'keep' takes them as any other, 'drop' leaves them out."
    ),
]


class _Files(Part):
    """What every dataset of files has."""

    format: str
    source: Annotated[Source, Field(description="Where the files come from.")]
    classes: Annotated[Labels, Field(description="The model's labels, in their order.")]
    class_map: Annotated[
        dict[Label, Label],
        Field(
            default_factory=dict,
            max_length=5_000,
            description="Label in the data -> label of the model: renames, and merges.",
        ),
    ]
    drop_classes: Annotated[
        tuple[Label, ...],
        Field(max_length=5_000, description="Labels in the data whose boxes are left out."),
        AfterValidator(unique("class")),
    ] = ()
    other_classes: Annotated[
        Literal["reject", "drop"],
        Field(
            description="What happens to a label that is named nowhere: 'reject' the picture, 'drop' the box. The "
            "first notices a typing error, the second picks a few classes out of many."
        ),
    ] = "reject"
    split: Annotated[Split, Field(description="Which pictures are held out for evaluation.")] = Drawn()
    max_rejected: Annotated[
        Share, Field(description="Share of the pictures that may be unusable before the build fails.")
    ] = 0.0
    max_pixels: Annotated[
        int, Field(ge=1024, le=500_000_000, description="A picture of more pixels is rejected, undecoded.")
    ] = 50_000_000

    @property
    def places(self) -> tuple[str, ...]:
        """The keys of this format that name files or folders within the source."""
        return ("images", "annotations")

    @model_validator(mode="after")
    def _labels_agree(self) -> _Files:
        problems = []
        for label, target in self.class_map.items():
            if target not in self.classes:
                help = f"one of: {', '.join(self.classes[:20])}; to leave a label out: drop_classes"
                problems.append(Problem("unknown-value", f"{target!r} is no class", help, ("class_map", label)))
            elif label == target:
                problems.append(
                    Problem("no-effect", f"{label!r} is mapped to itself", "remove it", ("class_map", label))
                )
        for index, label in enumerate(self.drop_classes):
            if label in self.class_map or label in self.classes:
                message = f"{label!r} is dropped and used"
                problems.append(Problem("conflict", message, "remove one of the two", ("drop_classes", index)))
            elif self.other_classes == "drop":
                message = f"{label!r} is dropped by other_classes already"
                problems.append(Problem("no-effect", message, "remove one of the two", ("drop_classes", index)))
        if problems:
            raise refuse(*problems)
        return self

    @model_validator(mode="after")
    def _folders_are_used(self) -> _Files:
        using = [key for key in self.places if PLACEHOLDER in str(getattr(self, key))]
        if isinstance(self.split, ByFolder) and not using:
            message = (
                f"split names the data's own folders, but none of {', '.join(self.places)} has {PLACEHOLDER} in it"
            )
            raise refuse(Problem("no-effect", message, f"such as images: images/{PLACEHOLDER}", ("split",)))
        if using and not isinstance(self.split, ByFolder):
            help = "give split as {train: FOLDER, eval: FOLDER}"
            raise refuse(Problem("conflict", f"{PLACEHOLDER} stands for nothing here", help, (using[0],)))
        if isinstance(self.split, ByList) and self.format == "tfrecord":
            help = "draw by share, or give a record file for each: records: [<split>.tfrecord]"
            raise refuse(Problem("unsupported", "records cannot be split by list files", help, ("split",)))
        return self


Images = Annotated[Inside, Field(description="Folder of the pictures, within the source; may hold <split>.")]


class VocDataset(_Files):
    """Photographs with Pascal VOC annotations, an XML file a picture."""

    format: Literal["voc"]
    images: Images = "images"
    annotations: Annotated[Inside, Field(description="Folder of the .xml files; may hold <split>.")] = "annotations"
    difficult: Marked = "ignore"


class CocoDataset(_Files):
    """Pictures with one COCO JSON of all their annotations (of each split)."""

    format: Literal["coco"]
    images: Images = "images"
    annotations: Annotated[Inside, Field(description="The COCO JSON file; may hold <split>.")] = "annotations.json"
    difficult: Marked = "ignore"


class YoloDataset(_Files):
    """Pictures with YOLO labels: a text file a picture, 'class x y width height' a line, as shares."""

    format: Literal["yolo"]
    images: Images = "images"
    annotations: Annotated[Inside, Field(description="Folder of the .txt files; may hold <split>.")] = "labels"
    names: Annotated[
        Inside | None,
        Field(description="The file that names class 0, 1, …: one a line, or data.yaml; if empty, 'classes' does."),
    ] = None


class CsvDataset(_Files):
    """Pictures with a CSV file: Open Images', or the plain 'filename,width,height,class,xmin,ymin,xmax,ymax'."""

    format: Literal["csv"]
    images: Images = "images"
    annotations: Annotated[Inside, Field(description="The CSV file; may hold <split>.")] = "annotations.csv"
    names: Annotated[Inside | None, Field(description="Open Images' class descriptions, a CSV of code and name.")] = (
        None
    )
    difficult: Marked = "ignore"


class TfRecordDataset(_Files):
    """Record files with the features of the TensorFlow Object Detection API."""

    format: Literal["tfrecord"]
    records: Annotated[Globs, Field(min_length=1, description="Globs of the record files; may hold <split>.")] = (
        "*.tfrecord",
    )
    difficult: Marked = "ignore"

    @property
    def places(self) -> tuple[str, ...]:
        return ("records",)


def _check_objects(value: tuple[int, ...]) -> tuple[int, ...]:
    if value[0] > value[1]:
        raise refuse(Problem("out-of-range", "objects is [least, most], the least first", "swap them", (0,), (1,)))
    return value


class Drawing(Part):
    """How many pictures to draw, and what is in them."""

    images: Annotated[int, Field(ge=10, le=100_000, description="How many pictures.")]
    size: Annotated[
        tuple[Annotated[int, Field(ge=32, le=1024)], ...],
        Field(min_length=2, max_length=2, description="[height, width] in pixels, 32 to 1024 each."),
    ]
    objects: Annotated[
        tuple[Annotated[int, Field(ge=1, le=10)], ...],
        Field(min_length=2, max_length=2, description="[least, most] objects in a picture, 1 to 10 each."),
        AfterValidator(_check_objects),
    ] = (1, 3)
    seed: Annotated[Seed, Field(description="Another seed gives other pictures.")] = 7


class SyntheticDataset(Part):
    """Drawings of shapes on noise, made by a seeded step: needs no download."""

    format: Literal["synthetic"]
    synthetic: Annotated[Drawing, Field(description="What is drawn.")]
    classes: Annotated[
        tuple[Shape, ...],
        Field(min_length=1, description="The model's labels, in their order."),
        AfterValidator(unique("class")),
    ]
    split: Annotated[Drawn, Field(description="Which pictures are held out for evaluation.")] = Drawn()


FileDataset = VocDataset | CocoDataset | YoloDataset | CsvDataset | TfRecordDataset

Dataset = Annotated[
    Annotated[VocDataset, Tag(case("voc"))]
    | Annotated[CocoDataset, Tag(case("coco"))]
    | Annotated[YoloDataset, Tag(case("yolo"))]
    | Annotated[CsvDataset, Tag(case("csv"))]
    | Annotated[TfRecordDataset, Tag(case("tfrecord"))]
    | Annotated[SyntheticDataset, Tag(case("synthetic"))],
    tagged("format", {name: case(name) for name in ("voc", "coco", "yolo", "csv", "tfrecord", "synthetic")}),
]
