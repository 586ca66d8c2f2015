#include "normalise.h"

#include "geometry.h"
#include "moments.h"
#include "pool.h"

namespace tinsmith {
namespace {

constexpr int64_t kLeastRows = 256;
constexpr int64_t kRun = 64;  // rows whose sums are taken in float

// A row that may end in the middle of a vector, to one that may not.
void Widen(const float* from, int channels, float* to) {
  EachVector(channels, [&](int at, int lanes) { Store(to + at, LoadUpTo(from + at, lanes)); });
}

}  // namespace

void NormaliseForward(int64_t rows, int channels, Activation& activation, const float* x, float* y) {
  const Chunks chunks(rows, kLeastRows);
  ForEachChunk(chunks.count, [&](int chunk) {
    Buffer<float> pixel(Padded(channels));
    for (int64_t row = chunks.first(chunk); row < chunks.last(chunk); ++row) {
      activation.Row(x + row * channels, pixel.get());
      memcpy(y + row * channels, pixel.get(), channels * sizeof(float));
    }
  });
}

void NormaliseBackward(int64_t rows, int channels, Activation& activation, const float* dy, const float* x,
                       const float* scale, const Gradients& gradients) {
  const Chunks chunks(rows, kLeastRows);
  ActivationSums sums(chunks.count, channels);
  ForEachChunk(chunks.count, [&](int chunk) {
    Buffer<float> active(Padded(channels)), given(Padded(channels));
    Buffer<float> dscale(Padded(channels)), doffset(Padded(channels));
    for (int64_t row = chunks.first(chunk); row < chunks.last(chunk); ++row) {
      activation.Row(x + row * channels, active.get());
      Widen(dy + row * channels, channels, given.get());
      activation.RowGradient(given.get(), active.get(), x + row * channels, gradients.dx + row * channels,
                             dscale.get(), doffset.get());
      if (row % kRun == kRun - 1) sums.Add(chunk, dscale.get(), doffset.get());
    }
    sums.Add(chunk, dscale.get(), doffset.get());
  });
  sums.Finish(scale, gradients.dcenter, gradients.dscale, gradients.doffset);
}

}  // namespace tinsmith
