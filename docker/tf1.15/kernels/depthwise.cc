#include "depthwise.h"

#include "moments.h"
#include "pool.h"

namespace tinsmith {
namespace {

constexpr int kTaps = 9;
constexpr int kMargin = 2;  // empty pixels before and after a row of the output's gradient

// Rows of pictures in the order [vector of channels][pixel][lane]: one vector's row lies in one piece.
class Rows {
 public:
  Rows(int count, int channels, int pixels)
      : vectors_(Padded(channels) / kLanes), pixels_(pixels), data_(int64_t{count} * vectors_ * pixels * kLanes) {}

  float* At(int row, int vector, int pixel) {
    return data_.get() + ((int64_t{row} * vectors_ + vector) * pixels_ + pixel) * kLanes;
  }
  void Clear(int row) { memset(At(row, 0, 0), 0, sizeof(float) * vectors_ * pixels_ * kLanes); }

 private:
  const int64_t vectors_, pixels_;
  Buffer<float> data_;
};

// The filter in the order [vector of channels][tap][lane].
class Filter {
 public:
  Filter(const float* from, int channels) : data_(Padded(channels) * kTaps) {
    for (int tap = 0; tap < kTaps; ++tap) {
      for (int channel = 0; channel < channels; ++channel) {
        data_[(int64_t{channel / kLanes} * kTaps + tap) * kLanes + channel % kLanes] = from[tap * channels + channel];
      }
    }
  }
  const float* At(int vector) { return data_.get() + int64_t{vector} * kTaps * kLanes; }

 private:
  Buffer<float> data_;
};

// Row `y` of the activated input of one image into row `slot`, behind `left` empty pixels.
template <ActivationKind kind>
void FillActive(const Geometry& geometry, Activation& activation, const float* row, Rows& to, int slot, int left) {
  for (int pixel = 0; pixel < geometry.width; ++pixel) {
    EachVector(geometry.channels, [&](int at, int count) {
      Store(to.At(slot, at / kLanes, left + pixel),
            activation.Apply<kind>(LoadUpTo(row + int64_t{pixel} * geometry.channels + at, count), at));
    });
  }
}

void FillActive(const Geometry& geometry, Activation& activation, const float* row, Rows& to, int slot, int left) {
  switch (activation.kind()) {
    case kPlain: return FillActive<kPlain>(geometry, activation, row, to, slot, left);
    case kAffine: return FillActive<kAffine>(geometry, activation, row, to, slot, left);
    case kRelu6: return FillActive<kRelu6>(geometry, activation, row, to, slot, left);
  }
}

// One row of output from the three rows of input at `rows`.
void ConvolveRow(const Geometry& geometry, Rows& active, const int* rows, Filter& filter, float* y) {
  EachVector(geometry.channels, [&](int at, int count) {
    const int vector = at / kLanes;
    const float* from[3] = {active.At(rows[0], vector, 0), active.At(rows[1], vector, 0), active.At(rows[2], vector, 0)};
    Vector taps[kTaps];
    for (int tap = 0; tap < kTaps; ++tap) taps[tap] = Load(filter.At(vector) + tap * kLanes);
    const int step = geometry.stride * kLanes;
    for (int pixel = 0; pixel < geometry.out_width(); ++pixel) {
      Vector sum = Zero();
      for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 3; ++j) sum = MultiplyAdd(Load(from[i] + pixel * step + j * kLanes), taps[i * 3 + j], sum);
      }
      StoreUpTo(y + int64_t{pixel} * geometry.channels + at, sum, count);
    }
  });
}

// A row of the output's gradient that a row of input saw through row `tap` of the filter.
struct Seen {
  int tap, slot;
};

// For the input pixels of one column phase, which output pixels saw them through which columns of the filter.
struct Phase {
  int columns;
  int column[3];
  int place[3];  // of the output pixel for the first such input pixel, margin included
};

Phase PhaseOf(const Geometry& geometry, int first) {
  Phase phase = {0, {}, {}};
  for (int j = 0; j < 3; ++j) {
    const int apart = first + geometry.left() - j;
    if (apart % geometry.stride != 0) continue;
    phase.column[phase.columns] = j;
    phase.place[phase.columns++] = apart / geometry.stride + kMargin;
  }
  return phase;
}

// What goes backward through one row of the input and one vector of channels.
struct BackwardRow {
  const float* active;    // [pixel][lane]
  const float* given[3];  // rows of the output's gradient that saw it, [pixel][lane], margin included
  int tap[3];             // the rows of the filter through which they did
  const float* taps;      // [tap][lane]
  float* sums;            // the filter's gradient, [tap][lane]: the row's share is added
  float* gradient;        // the input's gradient, [pixel][lane]: written
};

// For one column phase, which begins at pixel `first`. Each gradient that is loaded serves both results.
template <int kRows, int kColumns>
void Backward(const Geometry& geometry, const BackwardRow& row, const Phase& phase, int first) {
  Vector own[kRows][kColumns], taps[kRows][kColumns];
  for (int i = 0; i < kRows; ++i) {
    for (int column = 0; column < kColumns; ++column) {
      own[i][column] = Zero();
      taps[i][column] = Load(row.taps + (row.tap[i] * 3 + phase.column[column]) * kLanes);
    }
  }
  for (int pixel = first, step = 0; pixel < geometry.width; pixel += geometry.stride, ++step) {
    const Vector input = Load(row.active + int64_t{pixel} * kLanes);
    Vector sum = Zero();
    for (int i = 0; i < kRows; ++i) {
      for (int column = 0; column < kColumns; ++column) {
        const Vector given = Load(row.given[i] + (step + phase.place[column]) * kLanes);
        own[i][column] = MultiplyAdd(input, given, own[i][column]);
        sum = MultiplyAdd(given, taps[i][column], sum);
      }
    }
    Store(row.gradient + int64_t{pixel} * kLanes, sum);
  }
  for (int i = 0; i < kRows; ++i) {
    for (int column = 0; column < kColumns; ++column) {
      float* to = row.sums + (row.tap[i] * 3 + phase.column[column]) * kLanes;
      Store(to, Load(to) + own[i][column]);
    }
  }
}

// The same for `rows` rows and all phases. With SAME padding every pixel is seen by one row and one column at least.
void Backward(const Geometry& geometry, const BackwardRow& row, int rows) {
  using Function = void (*)(const Geometry&, const BackwardRow&, const Phase&, int);
  static constexpr Function kFunctions[3][3] = {{Backward<1, 1>, Backward<1, 2>, Backward<1, 3>},
                                                {Backward<2, 1>, Backward<2, 2>, Backward<2, 3>},
                                                {Backward<3, 1>, Backward<3, 2>, Backward<3, 3>}};
  for (int first = 0; first < geometry.stride; ++first) {
    const Phase phase = PhaseOf(geometry, first);
    kFunctions[rows - 1][phase.columns - 1](geometry, row, phase, first);
  }
}

}  // namespace

void DepthwiseForward(const Geometry& geometry, Activation& activation, const float* x, const float* filter, float* y,
                      float* mean, float* variance) {
  const int channels = geometry.channels, out_width = geometry.out_width();
  const int64_t in_row = int64_t{geometry.width} * channels, out_row = int64_t{out_width} * channels;
  const int pixels = static_cast<int>(Max((out_width - 1) * geometry.stride + 3, geometry.left() + geometry.width));
  Filter taps(filter, channels);
  const Chunks chunks(geometry.images);
  Moments moments(chunks.count, channels);
  ForEachChunk(chunks.count, [&](int chunk) {
    Rows active(4, channels, pixels);  // a ring of three, and an empty row
    Buffer<float> scratch(2 * kLanes);
    for (int64_t image = chunks.first(chunk); image < chunks.last(chunk); ++image) {
      int filled = 0;
      for (int out = 0; out < geometry.out_height(); ++out) {
        const int top = out * geometry.stride - geometry.top();
        int rows[3];
        for (int i = 0; i < 3; ++i) {
          const int at = top + i;
          rows[i] = at >= 0 && at < geometry.height ? at % 3 : 3;
          if (rows[i] == 3 || at < filled) continue;
          FillActive(geometry, activation, x + (image * geometry.height + at) * in_row, active, rows[i],
                     geometry.left());
          filled = at + 1;
        }
        float* to = y + (image * geometry.out_height() + out) * out_row;
        ConvolveRow(geometry, active, rows, taps, to);
        moments.Add(chunk, to, out_width, scratch.get());
      }
    }
  });
  moments.Finish(geometry.images * geometry.out_pixels(), mean, variance);
}

void DepthwiseBackward(const Geometry& geometry, Activation& activation, const Given& given,
                       const Gradients& gradients) {
  const int channels = geometry.channels, out_width = geometry.out_width();
  const int64_t in_row = int64_t{geometry.width} * channels, out_row = int64_t{out_width} * channels;
  const int64_t filter_size = kTaps * Padded(channels);
  OutputGradient output(channels, geometry.images * geometry.out_pixels(), given.mean, given.dmean, given.dvariance);
  Filter taps(given.filter, channels);
  const Chunks chunks(geometry.images);
  Buffer<double> filters(chunks.count * filter_size);
  ActivationSums sums(chunks.count, channels);

  ForEachChunk(chunks.count, [&](int chunk) {
    Rows dout(3, channels, out_width + 2 * kMargin), active(1, channels, geometry.width);
    Buffer<float> gradient(int64_t{geometry.width} * kLanes), partial(filter_size);
    Buffer<float> dscale(Padded(channels)), doffset(Padded(channels));
    double* dfilter = filters.get() + chunk * filter_size;
    for (int64_t image = chunks.first(chunk); image < chunks.last(chunk); ++image) {
      int filled = 0;
      for (int row = 0; row < geometry.height; ++row) {
        Seen seen[3];
        int count = 0;
        for (int i = 2; i >= 0; --i) {
          const int apart = row + geometry.top() - i;
          if (apart < 0 || apart % geometry.stride != 0 || apart / geometry.stride >= geometry.out_height()) continue;
          const int out = apart / geometry.stride;
          seen[count++] = Seen{i, out % 3};
          if (out < filled) continue;
          const int64_t from = (image * geometry.out_height() + out) * out_row;
          for (int pixel = 0; pixel < out_width; ++pixel) {
            const int64_t place = from + int64_t{pixel} * channels;
            EachVector(channels, [&](int at, int lanes) {
              Store(dout.At(out % 3, at / kLanes, kMargin + pixel),
                    output.At(given.dy + place, given.y + place, at, lanes));
            });
          }
          filled = out + 1;
        }
        const int64_t in = (image * geometry.height + row) * in_row;
        FillActive(geometry, activation, given.x + in, active, 0, 0);
        EachVector(channels, [&](int at, int lanes) {
          const int vector = at / kLanes;
          const float* input = active.At(0, vector, 0);
          BackwardRow own = {input, {}, {}, taps.At(vector), partial.get() + at * kTaps, gradient.get()};
          for (int i = 0; i < count; ++i) {
            own.given[i] = dout.At(seen[i].slot, vector, 0);
            own.tap[i] = seen[i].tap;
          }
          Backward(geometry, own, count);
          if (gradients.dx == nullptr) return;
          activation.ColumnGradient(at, lanes, geometry.width, gradient.get(), input, given.x + in, gradients.dx + in,
                                    dscale.get(), doffset.get());
        });
        if (!activation.plain()) sums.Add(chunk, dscale.get(), doffset.get());
        for (int64_t at = 0; at < filter_size; ++at) {
          dfilter[at] += partial[at];
          partial[at] = 0;
        }
      }
    }
  });

  if (gradients.dx != nullptr && !activation.plain()) {
    sums.Finish(given.scale, gradients.dcenter, gradients.dscale, gradients.doffset);
  }
  for (int tap = 0; tap < kTaps; ++tap) {
    for (int channel = 0; channel < channels; ++channel) {
      double sum = 0;
      const int64_t place = (int64_t{channel / kLanes} * kTaps + tap) * kLanes + channel % kLanes;
      for (int chunk = 0; chunk < chunks.count; ++chunk) sum += filters[chunk * filter_size + place];
      gradients.dfilter[tap * channels + channel] = static_cast<float>(sum);
    }
  }
}

}  // namespace tinsmith
