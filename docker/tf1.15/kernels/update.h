// What TensorFlow computes with the CPU's approximate reciprocal root, which differs between makers, computed exactly.
#pragma once
#include <stdint.h>

namespace tinsmith {

// y[at] = sqrt(x[at]), correctly rounded.
void Root(int64_t count, const float* x, float* y);

// One step of an optimiser for `count` weights. `slots` and `new_slots` are two arrays of the optimiser's own.
struct Update {
  int64_t count;
  const float* value;
  const float* slots[2];
  const float* gradient;
  const float* settings;  // four numbers
  float* new_value;
  float* new_slots[2];
};

// Kingma and Ba, 2014. slots: the mean gradient m and the mean square v. settings: the corrected rate, beta1, beta2,
// epsilon.
//   m += (1 - beta1) (g - m);  v += (1 - beta2) (g g - v);  value -= rate m / (sqrt(v) + epsilon)
void Adam(const Update& update);

// Hinton, 2012. slots: the mean square s and the momentum m. settings: rate, decay, momentum, epsilon.
//   s += (1 - decay) (g g - s);  m = momentum m + rate g / sqrt(s + epsilon);  value -= m
void RmsProp(const Update& update);

}  // namespace tinsmith
