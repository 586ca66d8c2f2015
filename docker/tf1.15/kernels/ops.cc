// Registers the operations with TensorFlow when the library is loaded.
//
//   TinsmithConvolution           y, mean, variance = conv(act(x), filter), moments of y over all but the last axis
//   TinsmithConvolutionGrad
//   TinsmithNormalise             y = act(x)
//   TinsmithNormaliseGrad
//   TinsmithRoot                  y = sqrt(x), correctly rounded
//   TinsmithAdam, TinsmithRmsprop one update of a variable and its two slots
//
// act(x) = (x - center) * scale + offset, clipped to 0..6 with activation 2; x itself with activation 0. Tensors are
// float in NHWC order, padding is SAME. With depthwise 1 the filter is [3, 3, channels, 1].
#include <stdlib.h>

#include "context.h"
#include "dense.h"
#include "depthwise.h"
#include "normalise.h"
#include "update.h"

namespace tinsmith {
namespace {

struct Attributes {
  int32_t activation;
  int32_t stride;
  int32_t depthwise;
  int32_t propagate;
};

void Read(TF_OpKernelConstruction* construction, const char* name, int32_t* value) {
  TF_Status* status = TF_NewStatus();
  TF_OpKernelConstruction_GetAttrInt32(construction, name, value, status);
  if (TF_GetCode(status) != TF_OK) TF_OpKernelConstruction_Failure(construction, status);
  TF_DeleteStatus(status);
}

void* CreateConvolution(TF_OpKernelConstruction* construction) {
  auto* attributes = static_cast<Attributes*>(calloc(1, sizeof(Attributes)));
  Read(construction, "activation", &attributes->activation);
  Read(construction, "stride", &attributes->stride);
  Read(construction, "depthwise", &attributes->depthwise);
  Read(construction, "propagate", &attributes->propagate);
  return attributes;
}

void* CreateNormalise(TF_OpKernelConstruction* construction) {
  auto* attributes = static_cast<Attributes*>(calloc(1, sizeof(Attributes)));
  Read(construction, "activation", &attributes->activation);
  return attributes;
}

void Destroy(void* attributes) { free(attributes); }

// The inputs from `center` on hold the activation's center, scale and offset.
bool CheckActivation(Context& run, const Attributes& attributes, int center, int64_t channels) {
  run.Require(attributes.activation >= kPlain && attributes.activation <= kRelu6, "activation must be 0, 1 or 2");
  for (int at = center; at < center + 3 && attributes.activation != kPlain; ++at) {
    run.Require(run.IsVector(at, channels), "center, scale and offset must have one value a channel");
  }
  return run.ok();
}

Activation ActivationOf(Context& run, const Attributes& attributes, int center, int channels) {
  return Activation(static_cast<ActivationKind>(attributes.activation), channels, run.Input(center),
                    run.Input(center + 1), run.Input(center + 2));
}

// The geometry of inputs `x` and `filter`; of no images if they were refused.
Geometry GeometryOf(Context& run, const Attributes& attributes, int x, int filter) {
  Geometry geometry = {};
  run.Require(attributes.stride == 1 || attributes.stride == 2, "stride must be 1 or 2");
  run.Require(run.Rank(x) == 4, "x must be [images, height, width, channels]");
  if (!run.Require(run.Rank(filter) == 4, "filter must be [height, width, channels, out]")) return geometry;
  const int64_t channels = run.Dimension(x, 3);
  run.Require(channels > 0 && channels < (1 << 20), "x has no channels, or too many");
  for (int at = 0; at < 4; ++at) run.Require(run.Dimension(filter, at) > 0, "filter is empty");
  run.Require(run.Dimension(filter, 2) == channels, "filter and x differ in channels");
  run.Require(!attributes.depthwise || (run.Dimension(filter, 0) == 3 && run.Dimension(filter, 1) == 3 &&
                                        run.Dimension(filter, 3) == 1),
              "a depthwise filter must be [3, 3, channels, 1]");
  if (!run.ok()) return geometry;
  geometry.images = run.Dimension(x, 0);
  geometry.height = static_cast<int>(run.Dimension(x, 1));
  geometry.width = static_cast<int>(run.Dimension(x, 2));
  geometry.channels = static_cast<int>(channels);
  geometry.kernel_height = static_cast<int>(run.Dimension(filter, 0));
  geometry.kernel_width = static_cast<int>(run.Dimension(filter, 1));
  geometry.stride = attributes.stride;
  geometry.out_channels = static_cast<int>(attributes.depthwise ? channels : run.Dimension(filter, 3));
  return geometry;
}

// Inputs: x, center, scale, offset, filter. Outputs: y, mean, variance.
void Convolution(void* kernel, TF_OpKernelContext* context) {
  const Attributes& attributes = *static_cast<Attributes*>(kernel);
  Context run(context);
  const Geometry geometry = GeometryOf(run, attributes, 0, 4);
  if (!run.ok() || !CheckActivation(run, attributes, 1, geometry.channels)) return;
  const int64_t shape[4] = {geometry.images, geometry.out_height(), geometry.out_width(), geometry.out_channels};
  float* y = run.Output(0, shape, 4);
  float* mean = run.Output(1, geometry.out_channels);
  float* variance = run.Output(2, geometry.out_channels);
  Activation activation = ActivationOf(run, attributes, 1, geometry.channels);
  const auto forward = attributes.depthwise ? DepthwiseForward : DenseForward;
  forward(geometry, activation, run.Input(0), run.Input(4), y, mean, variance);
}

// Inputs: dy, dmean, dvariance, y, mean, then those of the convolution. Outputs: the gradients of the latter's.
void ConvolutionGrad(void* kernel, TF_OpKernelContext* context) {
  const Attributes& attributes = *static_cast<Attributes*>(kernel);
  Context run(context);
  const Geometry geometry = GeometryOf(run, attributes, 5, 9);
  if (!run.ok() || !CheckActivation(run, attributes, 6, geometry.channels)) return;
  const int64_t shape[4] = {geometry.images, geometry.out_height(), geometry.out_width(), geometry.out_channels};
  run.Require(run.Rank(0) == 4 && run.SameShape(0, 3), "dy and y differ in shape");
  for (int at = 0; at < 4 && run.ok(); ++at) run.Require(run.Dimension(0, at) == shape[at], "dy has another shape");
  const bool vectors = run.IsVector(1, geometry.out_channels) && run.IsVector(2, geometry.out_channels) &&
                       run.IsVector(4, geometry.out_channels);
  run.Require(vectors, "moments must have one value a channel");
  if (!run.ok()) return;
  const Given given = {run.Input(0), run.Input(1), run.Input(2), run.Input(3), run.Input(4),
                       run.Input(5), run.Input(7), run.Input(9)};
  const int64_t known = attributes.activation == kPlain ? 0 : geometry.channels;
  const int64_t nothing[4] = {0, geometry.height, geometry.width, geometry.channels};
  Gradients gradients = {};
  float* dx = attributes.propagate ? run.OutputLike(0, 5) : run.Output(0, nothing, 4);
  gradients.dx = attributes.propagate ? dx : nullptr;
  gradients.dcenter = run.Output(1, known);
  gradients.dscale = run.Output(2, known);
  gradients.doffset = run.Output(3, known);
  gradients.dfilter = run.OutputLike(4, 9);
  if (!attributes.propagate) {
    memset(gradients.dcenter, 0, known * sizeof(float));
    memset(gradients.dscale, 0, known * sizeof(float));
    memset(gradients.doffset, 0, known * sizeof(float));
  }
  Activation activation = ActivationOf(run, attributes, 6, geometry.channels);
  const auto backward = attributes.depthwise ? DepthwiseBackward : DenseBackward;
  backward(geometry, activation, given, gradients);
}

int64_t RowsOf(Context& run, int x) {
  int64_t rows = 1;
  for (int at = 0; at < 3; ++at) rows *= run.Dimension(x, at);
  return rows;
}

// Inputs: x, center, scale, offset. Output: y.
void Normalise(void* kernel, TF_OpKernelContext* context) {
  const Attributes& attributes = *static_cast<Attributes*>(kernel);
  Context run(context);
  if (!run.Require(run.Rank(0) == 4 && run.Dimension(0, 3) > 0, "x must be [images, height, width, channels]")) return;
  const int channels = static_cast<int>(run.Dimension(0, 3));
  if (!CheckActivation(run, attributes, 1, channels)) return;
  float* y = run.OutputLike(0, 0);
  Activation activation = ActivationOf(run, attributes, 1, channels);
  NormaliseForward(RowsOf(run, 0), channels, activation, run.Input(0), y);
}

// Inputs: dy, x, center, scale, offset. Outputs: the gradients of x, center, scale, offset.
void NormaliseGrad(void* kernel, TF_OpKernelContext* context) {
  const Attributes& attributes = *static_cast<Attributes*>(kernel);
  Context run(context);
  run.Require(attributes.activation != kPlain, "nothing to normalise");
  if (!run.Require(run.Rank(1) == 4 && run.Dimension(1, 3) > 0, "x must be [images, height, width, channels]")) return;
  const int channels = static_cast<int>(run.Dimension(1, 3));
  run.Require(run.SameShape(0, 1), "dy and x differ in shape");
  if (!CheckActivation(run, attributes, 2, channels)) return;
  Gradients gradients = {};
  gradients.dx = run.OutputLike(0, 1);
  gradients.dcenter = run.Output(1, channels);
  gradients.dscale = run.Output(2, channels);
  gradients.doffset = run.Output(3, channels);
  Activation activation = ActivationOf(run, attributes, 2, channels);
  NormaliseBackward(RowsOf(run, 1), channels, activation, run.Input(0), run.Input(1), run.Input(3), gradients);
}

int64_t FloatsOf(Context& run, int input) {
  int64_t floats = 1;
  for (int at = 0; at < run.Rank(input); ++at) floats *= run.Dimension(input, at);
  return floats;
}

void* CreatePlain(TF_OpKernelConstruction*) { return calloc(1, sizeof(Attributes)); }

// Input: x. Output: y.
void RootOf(void*, TF_OpKernelContext* context) {
  Context run(context);
  if (!run.Require(run.Rank(0) >= 0 && run.Rank(0) <= 4, "x has more than four dimensions")) return;
  float* y = run.OutputLike(0, 0);
  Root(FloatsOf(run, 0), run.Input(0), y);
}

// Inputs: value, two slots, gradient, settings. Outputs: value and slots anew.
template <void (*kUpdate)(const Update&)>
void UpdateOf(void*, TF_OpKernelContext* context) {
  Context run(context);
  run.Require(run.Rank(0) >= 0 && run.Rank(0) <= 4, "a variable has at most four dimensions");
  run.Require(run.SameShape(0, 1) && run.SameShape(0, 2) && run.SameShape(0, 3), "shapes differ");
  if (!run.Require(run.IsVector(4, 4), "settings must be four numbers")) return;
  Update update = {FloatsOf(run, 0), run.Input(0), {run.Input(1), run.Input(2)}, run.Input(3), run.Input(4), nullptr, {}};
  update.new_value = run.OutputLike(0, 0);
  update.new_slots[0] = run.OutputLike(1, 1);
  update.new_slots[1] = run.OutputLike(2, 2);
  kUpdate(update);
}

// Shapes are set where the operation is used: the C interface cannot compute one dimension from another.
void AnyShape(TF_ShapeInferenceContext* context, TF_Status* status) {
  TF_ShapeInferenceContextSetUnknownShape(context, status);
}

struct Definition {
  const char* name;
  const char* inputs[kMostTensors];
  const char* outputs[kMostTensors];
  const char* attributes[4];
  void* (*create)(TF_OpKernelConstruction*);
  void (*compute)(void*, TF_OpKernelContext*);
};

constexpr Definition kDefinitions[] = {
    {"TinsmithConvolution",
     {"x: float", "center: float", "scale: float", "offset: float", "filter: float"},
     {"y: float", "mean: float", "variance: float"},
     {"activation: int", "stride: int", "depthwise: int", "propagate: int"},
     CreateConvolution,
     Convolution},
    {"TinsmithConvolutionGrad",
     {"dy: float", "dmean: float", "dvariance: float", "y: float", "mean: float", "x: float", "center: float",
      "scale: float", "offset: float", "filter: float"},
     {"dx: float", "dcenter: float", "dscale: float", "doffset: float", "dfilter: float"},
     {"activation: int", "stride: int", "depthwise: int", "propagate: int"},
     CreateConvolution,
     ConvolutionGrad},
    {"TinsmithNormalise",
     {"x: float", "center: float", "scale: float", "offset: float"},
     {"y: float"},
     {"activation: int"},
     CreateNormalise,
     Normalise},
    {"TinsmithNormaliseGrad",
     {"dy: float", "x: float", "center: float", "scale: float", "offset: float"},
     {"dx: float", "dcenter: float", "dscale: float", "doffset: float"},
     {"activation: int"},
     CreateNormalise,
     NormaliseGrad},
    {"TinsmithRoot", {"x: float"}, {"y: float"}, {}, CreatePlain, RootOf},
    {"TinsmithAdam",
     {"value: float", "mean: float", "square: float", "gradient: float", "settings: float"},
     {"new_value: float", "new_mean: float", "new_square: float"},
     {},
     CreatePlain,
     UpdateOf<Adam>},
    {"TinsmithRmsprop",
     {"value: float", "square: float", "momentum: float", "gradient: float", "settings: float"},
     {"new_value: float", "new_square: float", "new_momentum: float"},
     {},
     CreatePlain,
     UpdateOf<RmsProp>},
};

__attribute__((constructor)) void Register() {
  TF_Status* status = TF_NewStatus();
  for (const Definition& definition : kDefinitions) {
    TF_OpDefinitionBuilder* builder = TF_NewOpDefinitionBuilder(definition.name);
    for (const char* input : definition.inputs) {
      if (input != nullptr) TF_OpDefinitionBuilderAddInput(builder, input);
    }
    for (const char* output : definition.outputs) {
      if (output != nullptr) TF_OpDefinitionBuilderAddOutput(builder, output);
    }
    for (const char* attribute : definition.attributes) {
      if (attribute != nullptr) TF_OpDefinitionBuilderAddAttr(builder, attribute);
    }
    TF_OpDefinitionBuilderSetShapeInferenceFunction(builder, AnyShape);
    TF_RegisterOpDefinition(builder, status);
    TF_RegisterKernelBuilder(
        definition.name, TF_NewKernelBuilder(definition.name, "CPU", definition.create, definition.compute, Destroy),
        status);
  }
  TF_DeleteStatus(status);
}

}  // namespace
}  // namespace tinsmith
