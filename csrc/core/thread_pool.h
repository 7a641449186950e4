// The caller's worker threads and memory, as core sees them. TensorFlow and XLA lend theirs.
#ifndef FASTCONV_CORE_THREAD_POOL_H_
#define FASTCONV_CORE_THREAD_POOL_H_

#include <cstddef>
#include <cstdint>
#include <functional>

namespace fastconv {

class ThreadPool {
 public:
  virtual ~ThreadPool() = default;
  // Threads that may run at the same time, the calling one included; at least 1.
  virtual int num_threads() const = 0;
  // Runs `task` on a worker, some time.
  virtual void Schedule(std::function<void()> task) = 0;
};

// A pool without workers: everything runs in the caller.
class InlineThreadPool final : public ThreadPool {
 public:
  int num_threads() const override { return 1; }
  void Schedule(std::function<void()> task) override { task(); }
};

// Calls body(item, worker) for every item in [0, items), each once, `worker` in
// [0, min(max_workers, items)) and never the same at the same time. Items are claimed one by one,
// in order, so a slow core takes fewer. The caller works too and waits only for items that have
// started: a pool whose workers are all busy, or absent, cannot deadlock it.
void ParallelFor(ThreadPool* pool, int max_workers, int64_t items,
                 const std::function<void(int64_t item, int worker)>& body);

}  // namespace fastconv

#endif  // FASTCONV_CORE_THREAD_POOL_H_
