#include "dense.h"

#include "matrix.h"
#include "moments.h"
#include "pool.h"

namespace tinsmith {
namespace {

// Rows of a panel: as many as leave it and what is computed from it in the second-level cache. Sums are grouped by panel,
// so their number must not depend on how wide vectors are.
int64_t PanelRows(const Geometry& geometry) {
  const int64_t floats = (geometry.taps() + 7) / 8 * 8 + (geometry.out_channels + 7) / 8 * 8;
  return Max(24, Min(96, 32768 / floats)) / 12 * 12;
}

// A pointwise convolution may be cut anywhere; another one's input gradient gathers within an image.
Chunks CutOf(const Geometry& geometry) {
  if (geometry.pointwise()) return Chunks(geometry.images * geometry.out_pixels(), 96);
  return Chunks(geometry.images);
}

int64_t RowsPerUnit(const Geometry& geometry) { return geometry.pointwise() ? 1 : geometry.out_pixels(); }

// The input that one output pixel sees: `inside` says where it lies in the picture.
struct Window {
  int64_t image;
  int top, left;

  Window(const Geometry& geometry, int64_t row) {
    image = row / geometry.out_pixels();
    const int64_t place = row % geometry.out_pixels();
    top = static_cast<int>(place / geometry.out_width()) * geometry.stride - geometry.top();
    left = static_cast<int>(place % geometry.out_width()) * geometry.stride - geometry.left();
  }
};

bool InsideColumns(const Geometry& geometry, const Window& window) {
  return window.left >= 0 && window.left + geometry.kernel_width <= geometry.width;
}

// Calls body(offset of the tap in a panel's row, pixel within the image or -1) for every tap of a window.
template <class Body>
void EachTap(const Geometry& geometry, const Window& window, const Body& body) {
  for (int i = 0; i < geometry.kernel_height; ++i) {
    for (int j = 0; j < geometry.kernel_width; ++j) {
      const int y = window.top + i, x = window.left + j;
      const bool inside = y >= 0 && y < geometry.height && x >= 0 && x < geometry.width;
      body((int64_t{i} * geometry.kernel_width + j) * geometry.channels, inside ? int64_t{y} * geometry.width + x : -1);
    }
  }
}

// The activated inputs of output pixels [first, last), one row each. `pixel`: room for one activated pixel.
void FillPanel(const Geometry& geometry, Activation& activation, const float* x, int64_t first, int64_t last,
               float* panel, int64_t panel_row, float* pixel) {
  const int channels = geometry.channels;
  for (int64_t row = first; row < last; ++row) {
    float* to = panel + (row - first) * panel_row;
    if (geometry.pointwise()) {
      activation.Row(x + row * channels, to);
      continue;
    }
    const Window window(geometry, row);
    const float* image = x + window.image * geometry.in_pixels() * channels;
    if (activation.plain() && InsideColumns(geometry, window)) {
      // The taps of a row of the kernel lie side by side.
      const int64_t run = int64_t{geometry.kernel_width} * channels;
      for (int i = 0; i < geometry.kernel_height; ++i) {
        const int y = window.top + i;
        const float* from = image + (int64_t{y} * geometry.width + window.left) * channels;
        if (y >= 0 && y < geometry.height) {
          EachVector(static_cast<int>(run), [&](int at, int lanes) {
            StoreUpTo(to + i * run + at, LoadUpTo(from + at, lanes), lanes);
          });
        } else {
          memset(to + i * run, 0, run * sizeof(float));
        }
      }
      continue;
    }
    EachTap(geometry, window, [&](int64_t offset, int64_t place) {
      if (place < 0) {
        memset(to + offset, 0, channels * sizeof(float));
      } else {
        activation.Row(image + place * channels, pixel);
        memcpy(to + offset, pixel, channels * sizeof(float));
      }
    });
  }
}

// Sums the chunks' gradients of the filter, rows of `out_row` floats, into `dfilter`.
void SumFilters(const Buffer<float>& filters, int chunks, int64_t taps, int64_t out, int64_t out_row, float* dfilter) {
  const Chunks rows(taps, Max(1, 4096 / out));
  ForEachChunk(rows.count, [&](int part) {
    Buffer<double> sums(out);
    for (int64_t row = rows.first(part); row < rows.last(part); ++row) {
      for (int64_t column = 0; column < out; ++column) sums[column] = 0;
      for (int chunk = 0; chunk < chunks; ++chunk) {
        const float* from = filters.get() + (chunk * taps + row) * out_row;
        for (int64_t column = 0; column < out; ++column) sums[column] += from[column];
      }
      for (int64_t column = 0; column < out; ++column) dfilter[row * out + column] = static_cast<float>(sums[column]);
    }
  });
}

void PadRows(const float* from, int64_t rows, int64_t columns, float* to, int64_t to_row) {
  for (int64_t row = 0; row < rows; ++row) memcpy(to + row * to_row, from + row * columns, columns * sizeof(float));
}

}  // namespace

void DenseForward(const Geometry& geometry, Activation& activation, const float* x, const float* filter, float* y,
                  float* mean, float* variance) {
  const int64_t taps = geometry.taps(), out = geometry.out_channels, out_row = Padded(out), panel_row = Padded(taps);
  const int64_t panel_rows = PanelRows(geometry), unit = RowsPerUnit(geometry);
  Buffer<float> factors(taps * out_row);
  PadRows(filter, taps, out, factors.get(), out_row);
  const Chunks chunks = CutOf(geometry);
  Moments moments(chunks.count, geometry.out_channels);
  // A plain pointwise convolution reads its input as it lies.
  const bool direct = geometry.pointwise() && activation.plain();
  ForEachChunk(chunks.count, [&](int chunk) {
    Buffer<float> panel(direct ? 1 : panel_rows * panel_row), pixel(Padded(geometry.channels)), scratch(2 * kLanes);
    const int64_t last = chunks.last(chunk) * unit;
    for (int64_t first = chunks.first(chunk) * unit; first < last; first += panel_rows) {
      const int64_t rows = Min(panel_rows, last - first);
      float* to = y + first * out;
      if (direct) {
        Product(x + first * taps, taps, factors.get(), out_row, to, out, rows, taps, out);
      } else {
        FillPanel(geometry, activation, x, first, first + rows, panel.get(), panel_row, pixel.get());
        Product(panel.get(), panel_row, factors.get(), out_row, to, out, rows, taps, out);
      }
      moments.Add(chunk, to, rows, scratch.get());
    }
  });
  moments.Finish(geometry.images * geometry.out_pixels(), mean, variance);
}

void DenseBackward(const Geometry& geometry, Activation& activation, const Given& given, const Gradients& gradients) {
  const int channels = geometry.channels;
  const int64_t taps = geometry.taps(), out = geometry.out_channels, out_row = Padded(out), panel_row = Padded(taps);
  const int64_t panel_rows = PanelRows(geometry), unit = RowsPerUnit(geometry), pixel_row = Padded(channels);
  const bool propagate = gradients.dx != nullptr;
  OutputGradient output(geometry.out_channels, geometry.images * geometry.out_pixels(), given.mean, given.dmean,
                        given.dvariance);
  Buffer<float> transposed(propagate ? out * panel_row : 1);
  if (propagate) Transpose(given.filter, taps, out, transposed.get(), panel_row);
  const Chunks chunks = CutOf(geometry);
  Buffer<float> filters(int64_t{chunks.count} * taps * out_row);
  ActivationSums sums(chunks.count, channels);

  ForEachChunk(chunks.count, [&](int chunk) {
    Buffer<float> panel(panel_rows * panel_row), dout(panel_rows * out_row), dpanel(panel_rows * panel_row);
    Buffer<float> pixel(pixel_row), dscale(pixel_row), doffset(pixel_row);
    // Taps of neighbouring pixels overlap: their gradients meet in a picture of the input.
    const bool gathers = propagate && !geometry.pointwise();
    Buffer<float> gathered(gathers ? geometry.in_pixels() * channels + kLanes : 1);
    float* dfilter = filters.get() + chunk * taps * out_row;
    for (int64_t at = chunks.first(chunk); at < chunks.last(chunk); at += geometry.pointwise() ? panel_rows : 1) {
      const int64_t begin = at * unit;
      const int64_t end = geometry.pointwise() ? Min(begin + panel_rows, chunks.last(chunk)) : begin + unit;
      for (int64_t first = begin; first < end; first += panel_rows) {
        const int64_t rows = Min(panel_rows, end - first);
        FillPanel(geometry, activation, given.x, first, first + rows, panel.get(), panel_row, pixel.get());
        for (int64_t row = 0; row < rows; ++row) {
          output.Row(given.dy + (first + row) * out, given.y + (first + row) * out, dout.get() + row * out_row);
        }
        AddOuterProduct(panel.get(), panel_row, dout.get(), out_row, dfilter, out_row, rows, taps, out);
        if (!propagate) continue;
        Product(dout.get(), out_row, transposed.get(), panel_row, dpanel.get(), panel_row, rows, out, taps);
        for (int64_t row = 0; row < rows; ++row) {
          const float* from = dpanel.get() + row * panel_row;
          if (geometry.pointwise()) {
            const int64_t place = (first + row) * channels;
            activation.RowGradient(from, panel.get() + row * panel_row, given.x + place, gradients.dx + place,
                                   dscale.get(), doffset.get());
          } else {
            EachTap(geometry, Window(geometry, first + row), [&](int64_t offset, int64_t place) {
              if (place < 0) return;
              float* to = gathered.get() + place * channels;
              EachVector(channels, [&](int channel, int count) {
                StoreUpTo(to + channel, LoadUpTo(to + channel, count) + LoadUpTo(from + offset + channel, count), count);
              });
            });
          }
        }
        if (!activation.plain()) sums.Add(chunk, dscale.get(), doffset.get());
      }
      if (!gathers) continue;
      for (int64_t place = 0; place < geometry.in_pixels(); ++place) {
        const int64_t whole = (at * geometry.in_pixels() + place) * channels;
        activation.Row(given.x + whole, pixel.get());
        activation.RowGradient(gathered.get() + place * channels, pixel.get(), given.x + whole, gradients.dx + whole,
                               dscale.get(), doffset.get());
        if (!activation.plain() && place % 64 == 63) sums.Add(chunk, dscale.get(), doffset.get());
      }
      if (!activation.plain()) sums.Add(chunk, dscale.get(), doffset.get());
      memset(gathered.get(), 0, geometry.in_pixels() * channels * sizeof(float));
    }
  });

  if (propagate && !activation.plain()) {
    sums.Finish(given.scale, gradients.dcenter, gradients.dscale, gradients.doffset);
  }
  SumFilters(filters, chunks.count, taps, out, out_row, gradients.dfilter);
}

}  // namespace tinsmith
