#include "thread_pools.h"

#include <chrono>
#include <utility>

namespace fastconv::testing {

WorkerThreadPool::WorkerThreadPool(int num_threads, int max_delay_us)
    : max_delay_us_(max_delay_us) {
  for (int worker = 1; worker < num_threads; ++worker) {
    workers_.emplace_back([this, worker] { Work(worker); });
  }
}

WorkerThreadPool::~WorkerThreadPool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void WorkerThreadPool::Schedule(std::function<void()> task) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void WorkerThreadPool::Work(uint64_t seed) {
  std::mt19937_64 random(seed);
  while (true) {
    std::function<void()> task;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    if (max_delay_us_ > 0) {
      std::this_thread::sleep_for(std::chrono::microseconds(random() % (max_delay_us_ + 1)));
    }
    task();
  }
}

void StalledThreadPool::RunLateTasks() {
  std::vector<std::function<void()>> tasks;
  tasks.swap(tasks_);
  for (const std::function<void()>& task : tasks) task();
}

void WithEachPool(const std::function<void(const std::string& name, ThreadPool* pool)>& body) {
  static auto* inline_pool = new InlineThreadPool;
  static auto* two_threads = new WorkerThreadPool(2);
  static auto* five_threads = new WorkerThreadPool(5);
  body("1 thread", inline_pool);
  body("2 threads", two_threads);
  body("5 threads", five_threads);
  StalledThreadPool stalled(3);
  body("3 stalled threads", &stalled);
  stalled.RunLateTasks();
}

}  // namespace fastconv::testing
