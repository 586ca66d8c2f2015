// Sizes of one convolution with SAME padding, and how its work is cut into chunks.
#pragma once
#include "memory.h"

namespace tinsmith {

constexpr int kMostChunks = 16;

struct Geometry {
  int64_t images;
  int height, width, channels;  // of the input
  int kernel_height, kernel_width, stride;
  int out_channels;

  int out_height() const { return (height + stride - 1) / stride; }
  int out_width() const { return (width + stride - 1) / stride; }
  int top() const { return Before(height, out_height(), kernel_height); }
  int left() const { return Before(width, out_width(), kernel_width); }
  int64_t in_pixels() const { return int64_t{height} * width; }
  int64_t out_pixels() const { return int64_t{out_height()} * out_width(); }
  int64_t taps() const { return int64_t{kernel_height} * kernel_width * channels; }
  bool pointwise() const { return kernel_height == 1 && kernel_width == 1 && stride == 1; }

 private:
  // TensorFlow's SAME: the odd row of padding comes last.
  int Before(int in, int out, int kernel) const {
    const int total = (out - 1) * stride + kernel - in;
    return total > 0 ? total / 2 : 0;
  }
};

// Consecutive units of work, cut into chunks by their number alone: never by how many threads there are.
struct Chunks {
  int64_t units;
  int count;

  explicit Chunks(int64_t units, int64_t least = 1)
      : units(units), count(static_cast<int>(Max(1, Min(kMostChunks, units / least)))) {}
  int64_t first(int chunk) const { return units * chunk / count; }
  int64_t last(int chunk) const { return first(chunk + 1); }
};

}  // namespace tinsmith
