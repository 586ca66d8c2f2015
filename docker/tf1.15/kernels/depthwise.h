// Convolutions of 3x3 in which each channel sees only itself.
#pragma once
#include "activation.h"
#include "dense.h"
#include "geometry.h"

namespace tinsmith {

// As DenseForward, with a filter of [3, 3, channels].
void DepthwiseForward(const Geometry& geometry, Activation& activation, const float* x, const float* filter, float* y,
                      float* mean, float* variance);

// As DenseBackward.
void DepthwiseBackward(const Geometry& geometry, Activation& activation, const Given& given,
                       const Gradients& gradients);

}  // namespace tinsmith
