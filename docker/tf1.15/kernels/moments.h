// Sums over all rows of a tensor: short runs in float, runs together in double, chunks in a fixed order.
#pragma once
#include "memory.h"
#include "vector.h"

namespace tinsmith {

// Mean and variance of each channel, taken while rows are written. A run's sums are about its first row, so that a
// large mean costs no digits.
class Moments {
 public:
  Moments(int chunks, int channels)
      : chunks_(chunks), channels_(channels), sums_(int64_t{2} * chunks * channels) {}

  // The `rows` rows of `channels` floats at `from`, as a part of `chunk`. `scratch`: 2 * kLanes floats.
  void Add(int chunk, const float* from, int64_t rows, float* scratch) {
    double* sum = sums_.get() + int64_t{2} * chunk * channels_;
    double* square = sum + channels_;
    EachVector(channels_, [&](int at, int count) {
      const Vector shift = LoadUpTo(from + at, count);
      Vector first = Zero(), second = Zero();
      for (int64_t row = 1; row < rows; ++row) {
        const Vector apart = LoadUpTo(from + row * channels_ + at, count) - shift;
        first = first + apart;
        second = MultiplyAdd(apart, apart, second);
      }
      Store(scratch, first);
      Store(scratch + kLanes, second);
      for (int lane = 0; lane < count; ++lane) {
        const double about = from[at + lane], one = scratch[lane], two = scratch[kLanes + lane];
        sum[at + lane] += rows * about + one;
        square[at + lane] += two + 2 * about * one + rows * about * about;
      }
    });
  }

  void Finish(int64_t rows, float* mean, float* variance) {
    for (int at = 0; at < channels_; ++at) {
      double sum = 0, square = 0;
      for (int chunk = 0; chunk < chunks_; ++chunk) {
        sum += sums_[int64_t{2} * chunk * channels_ + at];
        square += sums_[(int64_t{2} * chunk + 1) * channels_ + at];
      }
      const double middle = rows > 0 ? sum / rows : 0;
      const double spread = rows > 0 ? square / rows - middle * middle : 0;
      mean[at] = static_cast<float>(middle);
      variance[at] = static_cast<float>(spread > 0 ? spread : 0);
    }
  }

 private:
  const int chunks_, channels_;
  Buffer<double> sums_;
};

// The gradients of an Activation's scale and offset, summed over all rows.
class ActivationSums {
 public:
  ActivationSums(int chunks, int channels)
      : chunks_(chunks), channels_(channels), sums_(int64_t{2} * chunks * channels) {}

  // Adds the float sums of a run and sets them to zero.
  void Add(int chunk, float* dscale, float* doffset) {
    double* sum = sums_.get() + int64_t{2} * chunk * channels_;
    for (int at = 0; at < channels_; ++at) {
      sum[at] += dscale[at];
      sum[channels_ + at] += doffset[at];
      dscale[at] = doffset[at] = 0;
    }
  }

  // With `scale`, the gradient of the center follows from that of the offset. All arrays of `channels` floats.
  void Finish(const float* scale, float* dcenter, float* dscale, float* doffset) {
    for (int at = 0; at < channels_; ++at) {
      double first = 0, second = 0;
      for (int chunk = 0; chunk < chunks_; ++chunk) {
        first += sums_[int64_t{2} * chunk * channels_ + at];
        second += sums_[(int64_t{2} * chunk + 1) * channels_ + at];
      }
      dscale[at] = static_cast<float>(first);
      doffset[at] = static_cast<float>(second);
      dcenter[at] = static_cast<float>(-second * scale[at]);
    }
  }

 private:
  const int chunks_, channels_;
  Buffer<double> sums_;
};

// The gradient of a convolution's raw output y, from the gradients of y itself and of its moments:
//
//   dy + dmean / n + dvariance * 2 / n * (y - mean)
class OutputGradient {
 public:
  OutputGradient(int channels, int64_t rows, const float* mean, const float* dmean, const float* dvariance)
      : channels_(channels), slope_(Padded(channels)), shift_(Padded(channels)) {
    for (int at = 0; at < channels; ++at) {
      const double slope = 2.0 * dvariance[at] / rows;
      slope_[at] = static_cast<float>(slope);
      shift_[at] = static_cast<float>(dmean[at] / static_cast<double>(rows) - slope * mean[at]);
    }
  }

  Vector At(const float* dy, const float* y, int channel, int count) {
    const Vector direct = LoadUpTo(dy + channel, count) + Load(shift_.get() + channel);
    return MultiplyAdd(LoadUpTo(y + channel, count), Load(slope_.get() + channel), direct);
  }

  // One pixel, to `to`, which has room for whole vectors.
  void Row(const float* dy, const float* y, float* to) {
    EachVector(channels_, [&](int at, int count) { Store(to + at, At(dy, y, at, count)); });
  }

 private:
  const int channels_;
  Buffer<float> slope_, shift_;
};

}  // namespace tinsmith
