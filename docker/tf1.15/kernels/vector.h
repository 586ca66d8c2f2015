// A vector of floats as wide as the CPU class has it, each lane of which belongs to another channel.
//
// No lane ever meets another one and every product is fused with its sum, so the width changes no bits.
#pragma once
#include <immintrin.h>

#include <stdint.h>

namespace tinsmith {

#ifdef __AVX512F__
constexpr int kLanes = 16;

struct Vector {
  __m512 lanes;
};

inline Vector Zero() { return {_mm512_setzero_ps()}; }
inline Vector Fill(float value) { return {_mm512_set1_ps(value)}; }
inline Vector Load(const float* from) { return {_mm512_loadu_ps(from)}; }
inline void Store(float* to, Vector a) { _mm512_storeu_ps(to, a.lanes); }
inline __mmask16 First(int count) { return static_cast<__mmask16>((1u << count) - 1); }
inline Vector LoadFirst(const float* from, int count) { return {_mm512_maskz_loadu_ps(First(count), from)}; }
inline void StoreFirst(float* to, Vector a, int count) { _mm512_mask_storeu_ps(to, First(count), a.lanes); }
inline Vector operator+(Vector a, Vector b) { return {_mm512_add_ps(a.lanes, b.lanes)}; }
inline Vector operator-(Vector a, Vector b) { return {_mm512_sub_ps(a.lanes, b.lanes)}; }
inline Vector operator*(Vector a, Vector b) { return {_mm512_mul_ps(a.lanes, b.lanes)}; }
inline Vector operator/(Vector a, Vector b) { return {_mm512_div_ps(a.lanes, b.lanes)}; }
inline Vector SquareRoot(Vector a) { return {_mm512_sqrt_ps(a.lanes)}; }
inline Vector MultiplyAdd(Vector a, Vector b, Vector c) { return {_mm512_fmadd_ps(a.lanes, b.lanes, c.lanes)}; }
inline Vector Clip6(Vector a) {
  return {_mm512_min_ps(_mm512_max_ps(a.lanes, _mm512_setzero_ps()), _mm512_set1_ps(6.0f))};
}
// `a` where 0 < x < 6, else 0.
inline Vector WhereLinear(Vector x, Vector a) {
  const __mmask16 inside = _mm512_cmp_ps_mask(x.lanes, _mm512_setzero_ps(), _CMP_GT_OQ) &
                           _mm512_cmp_ps_mask(x.lanes, _mm512_set1_ps(6.0f), _CMP_LT_OQ);
  return {_mm512_maskz_mov_ps(inside, a.lanes)};
}
#else
constexpr int kLanes = 8;

struct Vector {
  __m256 lanes;
};

inline Vector Zero() { return {_mm256_setzero_ps()}; }
inline Vector Fill(float value) { return {_mm256_set1_ps(value)}; }
inline Vector Load(const float* from) { return {_mm256_loadu_ps(from)}; }
inline void Store(float* to, Vector a) { _mm256_storeu_ps(to, a.lanes); }
inline __m256i First(int count) {
  static const int32_t kMask[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMask + 8 - count));
}
inline Vector LoadFirst(const float* from, int count) { return {_mm256_maskload_ps(from, First(count))}; }
inline void StoreFirst(float* to, Vector a, int count) { _mm256_maskstore_ps(to, First(count), a.lanes); }
inline Vector operator+(Vector a, Vector b) { return {_mm256_add_ps(a.lanes, b.lanes)}; }
inline Vector operator-(Vector a, Vector b) { return {_mm256_sub_ps(a.lanes, b.lanes)}; }
inline Vector operator*(Vector a, Vector b) { return {_mm256_mul_ps(a.lanes, b.lanes)}; }
inline Vector operator/(Vector a, Vector b) { return {_mm256_div_ps(a.lanes, b.lanes)}; }
inline Vector SquareRoot(Vector a) { return {_mm256_sqrt_ps(a.lanes)}; }
inline Vector MultiplyAdd(Vector a, Vector b, Vector c) { return {_mm256_fmadd_ps(a.lanes, b.lanes, c.lanes)}; }
inline Vector Clip6(Vector a) {
  return {_mm256_min_ps(_mm256_max_ps(a.lanes, _mm256_setzero_ps()), _mm256_set1_ps(6.0f))};
}
// `a` where 0 < x < 6, else 0.
inline Vector WhereLinear(Vector x, Vector a) {
  const __m256 inside = _mm256_and_ps(_mm256_cmp_ps(x.lanes, _mm256_setzero_ps(), _CMP_GT_OQ),
                                      _mm256_cmp_ps(x.lanes, _mm256_set1_ps(6.0f), _CMP_LT_OQ));
  return {_mm256_and_ps(inside, a.lanes)};
}
#endif

inline int64_t Padded(int64_t count) { return (count + kLanes - 1) / kLanes * kLanes; }

// A row of `count` floats, whole vectors and a rest; `body(first channel, lanes in use)`.
template <class Body>
inline void EachVector(int count, const Body& body) {
  int at = 0;
  for (; at + kLanes <= count; at += kLanes) body(at, kLanes);
  if (at < count) body(at, count - at);
}

inline Vector LoadUpTo(const float* from, int count) { return count == kLanes ? Load(from) : LoadFirst(from, count); }
inline void StoreUpTo(float* to, Vector a, int count) {
  if (count == kLanes) {
    Store(to, a);
  } else {
    StoreFirst(to, a, count);
  }
}

}  // namespace tinsmith
