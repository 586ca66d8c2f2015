#include "update.h"

#include "geometry.h"
#include "pool.h"
#include "vector.h"

namespace tinsmith {
namespace {

constexpr int64_t kLeastFloats = 16384;

// Calls body(first element, lanes in use) for every vector of `count` floats.
template <class Body>
void EachElement(int64_t count, const Body& body) {
  const Chunks chunks(count, kLeastFloats);
  ForEachChunk(chunks.count, [&](int chunk) {
    for (int64_t at = chunks.first(chunk); at < chunks.last(chunk); at += kLanes) {
      body(at, static_cast<int>(Min(kLanes, chunks.last(chunk) - at)));
    }
  });
}

}  // namespace

void Root(int64_t count, const float* x, float* y) {
  EachElement(count, [&](int64_t at, int lanes) { StoreUpTo(y + at, SquareRoot(LoadUpTo(x + at, lanes)), lanes); });
}

void Adam(const Update& update) {
  const Vector rate = Fill(update.settings[0]), epsilon = Fill(update.settings[3]);
  const Vector rest1 = Fill(1 - update.settings[1]), rest2 = Fill(1 - update.settings[2]);
  EachElement(update.count, [&](int64_t at, int lanes) {
    const Vector gradient = LoadUpTo(update.gradient + at, lanes);
    Vector mean = LoadUpTo(update.slots[0] + at, lanes), square = LoadUpTo(update.slots[1] + at, lanes);
    mean = MultiplyAdd(gradient - mean, rest1, mean);
    square = MultiplyAdd(gradient * gradient - square, rest2, square);
    const Vector value = LoadUpTo(update.value + at, lanes) - rate * mean / (SquareRoot(square) + epsilon);
    StoreUpTo(update.new_value + at, value, lanes);
    StoreUpTo(update.new_slots[0] + at, mean, lanes);
    StoreUpTo(update.new_slots[1] + at, square, lanes);
  });
}

void RmsProp(const Update& update) {
  const Vector rate = Fill(update.settings[0]), rest = Fill(1 - update.settings[1]);
  const Vector momentum = Fill(update.settings[2]), epsilon = Fill(update.settings[3]);
  EachElement(update.count, [&](int64_t at, int lanes) {
    const Vector gradient = LoadUpTo(update.gradient + at, lanes);
    Vector square = LoadUpTo(update.slots[0] + at, lanes), moved = LoadUpTo(update.slots[1] + at, lanes);
    square = MultiplyAdd(gradient * gradient - square, rest, square);
    moved = MultiplyAdd(momentum, moved, rate * gradient / SquareRoot(square + epsilon));
    StoreUpTo(update.new_value + at, LoadUpTo(update.value + at, lanes) - moved, lanes);
    StoreUpTo(update.new_slots[0] + at, square, lanes);
    StoreUpTo(update.new_slots[1] + at, moved, lanes);
  });
}

}  // namespace tinsmith
