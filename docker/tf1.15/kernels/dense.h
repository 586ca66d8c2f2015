// Convolutions with a full kernel, 1x1 among them, on tensors in NHWC order.
#pragma once
#include "activation.h"
#include "geometry.h"

namespace tinsmith {

// y[images, out_height, out_width, out_channels] = conv(act(x), filter), and the mean and variance of each channel of y.
void DenseForward(const Geometry& geometry, Activation& activation, const float* x, const float* filter, float* y,
                  float* mean, float* variance);

// The gradients of x, of the activation's center, scale and offset, and of the filter. `dx` may be null: then neither
// it nor those of the activation are computed.
struct Gradients {
  float* dx;
  float* dcenter;
  float* dscale;
  float* doffset;
  float* dfilter;
};

// What the gradients are computed from. `scale`: the activation's.
struct Given {
  const float* dy;
  const float* dmean;
  const float* dvariance;
  const float* y;
  const float* mean;
  const float* x;
  const float* scale;
  const float* filter;
};

void DenseBackward(const Geometry& geometry, Activation& activation, const Given& given, const Gradients& gradients);

}  // namespace tinsmith
