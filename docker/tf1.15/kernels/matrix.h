// Products of small matrices that lie in the cache. Sums run over k in order, whatever the blocking.
#pragma once
#include "memory.h"
#include "vector.h"

namespace tinsmith {

// A tile of c[rows, n] = a[rows, k] b[k, n]: kRows rows by kColumns vectors, the last vector `last` lanes wide.
template <int kRows, int kColumns>
inline void ProductTile(const float* a, int64_t a_row, const float* b, int64_t b_row, float* c, int64_t c_row, int64_t k,
                        int last) {
  Vector sums[kRows][kColumns];
  for (int row = 0; row < kRows; ++row) {
    for (int column = 0; column < kColumns; ++column) sums[row][column] = Zero();
  }
  for (int64_t at = 0; at < k; ++at) {
    Vector factors[kColumns];
    for (int column = 0; column < kColumns; ++column) factors[column] = Load(b + at * b_row + column * kLanes);
    for (int row = 0; row < kRows; ++row) {
      const Vector factor = Fill(a[row * a_row + at]);
      for (int column = 0; column < kColumns; ++column) {
        sums[row][column] = MultiplyAdd(factor, factors[column], sums[row][column]);
      }
    }
  }
  for (int row = 0; row < kRows; ++row) {
    for (int column = 0; column + 1 < kColumns; ++column) Store(c + row * c_row + column * kLanes, sums[row][column]);
    StoreUpTo(c + row * c_row + (kColumns - 1) * kLanes, sums[row][kColumns - 1], last);
  }
}

template <int kColumns>
inline void ProductColumns(const float* a, int64_t a_row, const float* b, int64_t b_row, float* c, int64_t c_row,
                           int64_t rows, int64_t k, int last) {
  constexpr int kTile = kColumns == 1 ? 12 : 6;
  int64_t row = 0;
  for (; row + kTile <= rows; row += kTile) {
    ProductTile<kTile, kColumns>(a + row * a_row, a_row, b, b_row, c + row * c_row, c_row, k, last);
  }
  for (; row + 3 <= rows; row += 3) {
    ProductTile<3, kColumns>(a + row * a_row, a_row, b, b_row, c + row * c_row, c_row, k, last);
  }
  for (; row < rows; ++row) {
    ProductTile<1, kColumns>(a + row * a_row, a_row, b, b_row, c + row * c_row, c_row, k, last);
  }
}

// c[rows, n] = a[rows, k] b[k, n]. Rows of b hold whole vectors (b_row >= Padded(n)); those of c need not.
inline void Product(const float* a, int64_t a_row, const float* b, int64_t b_row, float* c, int64_t c_row, int64_t rows,
                    int64_t k, int64_t n) {
  for (int64_t at = 0; at < n; at += 2 * kLanes) {
    const int64_t left = n - at;
    if (left > kLanes) {
      ProductColumns<2>(a, a_row, b + at, b_row, c + at, c_row, rows, k, static_cast<int>(Min(left - kLanes, kLanes)));
    } else {
      ProductColumns<1>(a, a_row, b + at, b_row, c + at, c_row, rows, k, static_cast<int>(left));
    }
  }
}

// A tile of c[k, n] += a[rows, k]^T b[rows, n].
template <int kRows, int kColumns>
inline void OuterTile(const float* a, int64_t a_row, const float* b, int64_t b_row, float* c, int64_t c_row,
                      int64_t rows) {
  Vector sums[kRows][kColumns];
  for (int row = 0; row < kRows; ++row) {
    for (int column = 0; column < kColumns; ++column) sums[row][column] = Zero();
  }
  for (int64_t at = 0; at < rows; ++at) {
    Vector factors[kColumns];
    for (int column = 0; column < kColumns; ++column) factors[column] = Load(b + at * b_row + column * kLanes);
    for (int row = 0; row < kRows; ++row) {
      const Vector factor = Fill(a[at * a_row + row]);
      for (int column = 0; column < kColumns; ++column) {
        sums[row][column] = MultiplyAdd(factor, factors[column], sums[row][column]);
      }
    }
  }
  for (int row = 0; row < kRows; ++row) {
    for (int column = 0; column < kColumns; ++column) {
      float* to = c + row * c_row + column * kLanes;
      Store(to, Load(to) + sums[row][column]);
    }
  }
}

template <int kColumns>
inline void OuterColumns(const float* a, int64_t a_row, const float* b, int64_t b_row, float* c, int64_t c_row,
                         int64_t rows, int64_t k) {
  constexpr int kTile = kColumns == 1 ? 8 : 6;
  int64_t at = 0;
  for (; at + kTile <= k; at += kTile) OuterTile<kTile, kColumns>(a + at, a_row, b, b_row, c + at * c_row, c_row, rows);
  for (; at + 4 <= k; at += 4) OuterTile<4, kColumns>(a + at, a_row, b, b_row, c + at * c_row, c_row, rows);
  for (; at + 2 <= k; at += 2) OuterTile<2, kColumns>(a + at, a_row, b, b_row, c + at * c_row, c_row, rows);
  for (; at < k; ++at) OuterTile<1, kColumns>(a + at, a_row, b, b_row, c + at * c_row, c_row, rows);
}

// c[k, n] += a[rows, k]^T b[rows, n]. Rows of b and c hold whole vectors.
inline void AddOuterProduct(const float* a, int64_t a_row, const float* b, int64_t b_row, float* c, int64_t c_row,
                            int64_t rows, int64_t k, int64_t n) {
  for (int64_t at = 0; at < n; at += 2 * kLanes) {
    if (n - at > kLanes) {
      OuterColumns<2>(a, a_row, b + at, b_row, c + at, c_row, rows, k);
    } else {
      OuterColumns<1>(a, a_row, b + at, b_row, c + at, c_row, rows, k);
    }
  }
}

// to[n, k] = from[k, n]^T, rows of `to` at `to_row`.
inline void Transpose(const float* from, int64_t k, int64_t n, float* to, int64_t to_row) {
  for (int64_t row = 0; row < k; ++row) {
    for (int64_t column = 0; column < n; ++column) to[column * to_row + row] = from[row * n + column];
  }
}

}  // namespace tinsmith
