// Thread pools of every temper.
#ifndef FASTCONV_TESTS_CPP_THREAD_POOLS_H_
#define FASTCONV_TESTS_CPP_THREAD_POOLS_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/thread_pool.h"

namespace fastconv::testing {

// num_threads - 1 workers beside the caller. With `max_delay_us` above 0 each task first sleeps for
// a random time up to that.
class WorkerThreadPool final : public ThreadPool {
 public:
  explicit WorkerThreadPool(int num_threads, int max_delay_us = 0);
  ~WorkerThreadPool() override;

  int num_threads() const override { return static_cast<int>(workers_.size()) + 1; }
  void Schedule(std::function<void()> task) override;

 private:
  void Work(uint64_t seed);

  const int max_delay_us_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

// Claims to have threads but runs nothing until RunLateTasks, as a pool whose workers are all busy.
class StalledThreadPool final : public ThreadPool {
 public:
  explicit StalledThreadPool(int num_threads) : num_threads_(num_threads) {}

  int num_threads() const override { return num_threads_; }
  void Schedule(std::function<void()> task) override { tasks_.push_back(std::move(task)); }
  // Call it when the work is done: tasks must find nothing left to do.
  void RunLateTasks();

 private:
  int num_threads_;
  std::vector<std::function<void()>> tasks_;
};

// Calls body(name, pool) with a pool of 1, 2 and 5 threads and a stalled one. The stalled one runs
// its tasks after `body` has returned.
void WithEachPool(const std::function<void(const std::string& name, ThreadPool* pool)>& body);

}  // namespace fastconv::testing

#endif  // FASTCONV_TESTS_CPP_THREAD_POOLS_H_
