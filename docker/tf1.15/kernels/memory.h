// Scratch memory without the C++ library: the kernels depend on the C library and on TensorFlow's C interface only.
#pragma once
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

namespace tinsmith {

// An array that is freed with its scope. Contents are zero.
template <class T>
class Buffer {
 public:
  explicit Buffer(int64_t count)
      : data_(static_cast<T*>(aligned_alloc(64, (count * sizeof(T) + 127) / 64 * 64))) {
    if (data_ == nullptr) abort();
    memset(data_, 0, count * sizeof(T));
  }
  ~Buffer() { free(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  T* get() { return data_; }
  const T* get() const { return data_; }
  T& operator[](int64_t at) { return data_[at]; }

 private:
  T* data_;
};

inline int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t Max(int64_t a, int64_t b) { return a > b ? a : b; }

}  // namespace tinsmith
