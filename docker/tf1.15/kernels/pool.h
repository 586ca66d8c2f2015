// Runs the chunks of one operation on several threads.
#pragma once

namespace tinsmith {

// Calls body(chunk) for each chunk below `chunks`, in any order, on the pool's threads and the caller's; returns when
// all are done. Which thread has which chunk differs from run to run: bodies must not share what they write.
void RunChunks(int chunks, void (*body)(void* context, int chunk), void* context);

template <class Body>
inline void ForEachChunk(int chunks, const Body& body) {
  RunChunks(
      chunks, [](void* context, int chunk) { (*static_cast<const Body*>(context))(chunk); },
      const_cast<Body*>(&body));
}

}  // namespace tinsmith
