// Batch normalisation and activation by themselves, where more than one reader wants the result.
#pragma once
#include "activation.h"
#include "dense.h"

namespace tinsmith {

// y[rows, channels] = act(x).
void NormaliseForward(int64_t rows, int channels, Activation& activation, const float* x, float* y);

// The gradients of x and of the activation's center, scale and offset.
void NormaliseBackward(int64_t rows, int channels, Activation& activation, const float* dy, const float* x,
                       const float* scale, const Gradients& gradients);

}  // namespace tinsmith
