#include "pool.h"

#include <pthread.h>

#include <stdint.h>

namespace tinsmith {
namespace {

constexpr int kMostThreads = 256;

struct Work {
  void (*body)(void*, int) = nullptr;
  void* context = nullptr;
  int chunks = 0;
  int next = 0;
  int running = 0;
  uint64_t number = 0;
};

pthread_mutex_t entry = PTHREAD_MUTEX_INITIALIZER;  // one operation at a time
pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t begun = PTHREAD_COND_INITIALIZER;
pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
Work work;
int wanted = 1;
int started = 1;  // the caller counts as one

// With `guard` held: takes chunks until none is left.
void Take() {
  ++work.running;
  while (work.next < work.chunks) {
    const int chunk = work.next++;
    pthread_mutex_unlock(&guard);
    work.body(work.context, chunk);
    pthread_mutex_lock(&guard);
  }
  if (--work.running == 0) pthread_cond_signal(&ended);
}

void* Worker(void* place) {
  const int own = static_cast<int>(reinterpret_cast<intptr_t>(place));
  uint64_t seen = 0;
  pthread_mutex_lock(&guard);
  for (;;) {
    while (work.number == seen || own >= wanted) pthread_cond_wait(&begun, &guard);
    seen = work.number;
    Take();
  }
  return nullptr;
}

}  // namespace

void RunChunks(int chunks, void (*body)(void*, int), void* context) {
  pthread_mutex_lock(&entry);
  pthread_mutex_lock(&guard);
  while (started < wanted) {
    pthread_t thread;
    if (pthread_create(&thread, nullptr, Worker, reinterpret_cast<void*>(static_cast<intptr_t>(started))) != 0) break;
    pthread_detach(thread);
    ++started;
  }
  work = Work{body, context, chunks, 0, 0, work.number + 1};
  if (chunks > 1 && wanted > 1) pthread_cond_broadcast(&begun);
  Take();
  while (work.running > 0) pthread_cond_wait(&ended, &guard);
  pthread_mutex_unlock(&guard);
  pthread_mutex_unlock(&entry);
}

}  // namespace tinsmith

// How many threads later operations use, the caller's among them. Changes how fast they are, never what they give.
extern "C" __attribute__((visibility("default"))) void tinsmith_set_threads(int threads) {
  using namespace tinsmith;
  pthread_mutex_lock(&guard);
  wanted = threads < 1 ? 1 : threads > kMostThreads ? kMostThreads : threads;
  pthread_mutex_unlock(&guard);
}
