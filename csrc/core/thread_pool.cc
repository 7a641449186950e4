#include "core/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

namespace fastconv {
namespace {

// Shared by the caller and its tasks; a task that starts after the last item was claimed finds
// nothing to do and touches nothing of the caller's.
struct Loop {
  int64_t items;
  const std::function<void(int64_t, int)>* body;  // valid while an item is unfinished
  std::atomic<int64_t> next_item{0};
  std::atomic<int64_t> finished{0};
  std::atomic<int> next_worker{0};
  std::mutex mutex;
  std::condition_variable all_finished;

  void Work() {
    int64_t item = next_item.fetch_add(1, std::memory_order_relaxed);
    if (item >= items) return;
    const int worker = next_worker.fetch_add(1, std::memory_order_relaxed);
    int64_t done = 0;
    for (; item < items; item = next_item.fetch_add(1, std::memory_order_relaxed), ++done) {
      (*body)(item, worker);
    }
    if (finished.fetch_add(done, std::memory_order_acq_rel) + done == items) {
      std::lock_guard<std::mutex> lock(mutex);
      all_finished.notify_one();
    }
  }

  void Wait() {
    // Workers usually finish within microseconds of each other: look before sleeping.
    for (int spin = 0; spin < 20000; ++spin) {
      if (finished.load(std::memory_order_acquire) == items) return;
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
    std::unique_lock<std::mutex> lock(mutex);
    all_finished.wait(lock, [this] { return finished.load(std::memory_order_acquire) == items; });
  }
};

}  // namespace

void ParallelFor(ThreadPool* pool, int max_workers, int64_t items,
                 const std::function<void(int64_t item, int worker)>& body) {
  const int64_t workers = std::min<int64_t>(items, std::min(max_workers, pool->num_threads()));
  if (workers <= 1) {
    for (int64_t item = 0; item < items; ++item) body(item, 0);
    return;
  }
  auto loop = std::make_shared<Loop>();
  loop->items = items;
  loop->body = &body;
  for (int64_t i = 1; i < workers; ++i) {
    pool->Schedule([loop] { loop->Work(); });
  }
  loop->Work();
  loop->Wait();
}

}  // namespace fastconv
