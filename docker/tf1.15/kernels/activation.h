// What a convolution does to its input as it reads it: the batch normalisation and activation of the layer before.
//
//   input = act((x - center) * scale + offset),  act = identity or min(max(., 0), 6)
//
// The normalised tensor is never written to memory: forward it is made where it is needed, backward it is made again.
#pragma once
#include "memory.h"
#include "vector.h"

namespace tinsmith {

enum ActivationKind { kPlain = 0, kAffine = 1, kRelu6 = 2 };

class Activation {
 public:
  // Arrays of `channels` floats; not read when `kind` is kPlain.
  Activation(ActivationKind kind, int channels, const float* center, const float* scale, const float* offset)
      : kind_(kind), channels_(channels), scale_(Padded(channels)), shift_(Padded(channels)), center_(Padded(channels)) {
    if (kind == kPlain) return;
    for (int at = 0; at < channels; ++at) {
      scale_[at] = scale[at];
      center_[at] = center[at];
      shift_[at] = __builtin_fmaf(-center[at], scale[at], offset[at]);
    }
  }

  ActivationKind kind() const { return kind_; }
  bool plain() const { return kind_ == kPlain; }

  // Lanes beyond the last channel become zero where x is zero.
  template <ActivationKind kind>
  Vector Apply(Vector x, int channel) {
    if (kind == kPlain) return x;
    const Vector linear = MultiplyAdd(x, Load(scale_.get() + channel), Load(shift_.get() + channel));
    return kind == kRelu6 ? Clip6(linear) : linear;
  }

  // The activated pixel at `from` (`channels` floats) to `to`, which has room for whole vectors.
  void Row(const float* from, float* to) {
    switch (kind_) {
      case kPlain: return RowOf<kPlain>(from, to);
      case kAffine: return RowOf<kAffine>(from, to);
      case kRelu6: return RowOf<kRelu6>(from, to);
    }
  }

  // Backward through one pixel. `given`: gradient with respect to the activated input; `active`: that input; `x`: the
  // raw one. Adds to the sums of two rows of Padded(channels) floats, and writes the gradient with respect to x.
  void RowGradient(const float* given, const float* active, const float* x, float* dx, float* dscale, float* doffset) {
    EachVector(channels_, [&](int at, int lanes) {
      Vector first = Load(dscale + at), second = Load(doffset + at);
      StoreUpTo(dx + at, Gradient(at, lanes, Load(given + at), Load(active + at), x + at, first, second), lanes);
      Store(dscale + at, first);
      Store(doffset + at, second);
    });
  }

  // The same for the `lanes` channels from `at` of several pixels, with `given` and `active` as [pixel][lane].
  void ColumnGradient(int at, int lanes, int pixels, const float* given, const float* active, const float* x, float* dx,
                      float* dscale, float* doffset) {
    Vector first = Load(dscale + at), second = Load(doffset + at);
    for (int pixel = 0; pixel < pixels; ++pixel) {
      const int64_t place = int64_t{pixel} * channels_ + at;
      const Vector own = Load(given + int64_t{pixel} * kLanes), input = Load(active + int64_t{pixel} * kLanes);
      StoreUpTo(dx + place, Gradient(at, lanes, own, input, x + place, first, second), lanes);
    }
    Store(dscale + at, first);
    Store(doffset + at, second);
  }

 private:
  Vector Gradient(int at, int lanes, Vector given, Vector active, const float* x, Vector& dscale, Vector& doffset) {
    if (kind_ == kPlain) return given;
    const Vector gradient = kind_ == kRelu6 ? WhereLinear(active, given) : given;
    doffset = doffset + gradient;
    dscale = MultiplyAdd(gradient, LoadUpTo(x, lanes) - Load(center_.get() + at), dscale);
    return gradient * Load(scale_.get() + at);
  }

  template <ActivationKind kind>
  void RowOf(const float* from, float* to) {
    EachVector(channels_, [&](int at, int count) { Store(to + at, Apply<kind>(LoadUpTo(from + at, count), at)); });
  }

  const ActivationKind kind_;
  const int channels_;
  Buffer<float> scale_, shift_, center_;
};

}  // namespace tinsmith
