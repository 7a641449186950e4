#include "core/thread_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "thread_pools.h"

namespace fastconv::testing {
namespace {

// Runs a loop and checks that each item ran once, and no worker number twice at the same time.
void CheckLoop(ThreadPool* pool, int max_workers, int64_t items) {
  SCOPED_TRACE(std::to_string(items) + " items, at most " + std::to_string(max_workers) +
               " workers of a pool of " + std::to_string(pool->num_threads()));
  // Shared, as a task that wrongly runs late would write to them.
  auto runs = std::make_shared<std::vector<std::atomic<int>>>(items);
  auto busy = std::make_shared<std::vector<std::atomic<int>>>(std::max(max_workers, 1));
  auto faults = std::make_shared<std::atomic<int>>(0);
  const int64_t workers = std::min<int64_t>(max_workers, items);
  ParallelFor(pool, max_workers, items, [=](int64_t item, int worker) {
    if (worker < 0 || worker >= workers || item < 0 || item >= items) {
      ++*faults;
      return;
    }
    if ((*busy)[worker].fetch_add(1) != 0) ++*faults;
    ++(*runs)[item];
    std::this_thread::yield();
    (*busy)[worker].fetch_sub(1);
  });
  EXPECT_EQ(*faults, 0);
  for (int64_t item = 0; item < items; ++item) {
    ASSERT_EQ((*runs)[item], 1) << "runs of item " << item;
  }
}

TEST(ParallelForTest, RunsEveryItemOnceInEveryPool) {
  WithEachPool([](const std::string& name, ThreadPool* pool) {
    SCOPED_TRACE(name);
    for (int max_workers : {1, 2, 3, 16}) {
      for (int64_t items : {0, 1, 2, 3, 7, 100}) CheckLoop(pool, max_workers, items);
    }
  });
}

TEST(ParallelForTest, HuntsForRaces) {
  WorkerThreadPool prompt(4);
  WorkerThreadPool tardy(4, /*max_delay_us=*/50);
  for (int repetition = 0; repetition < 500; ++repetition) {
    CheckLoop(&prompt, 4, repetition % 13);
    CheckLoop(&tardy, 4, repetition % 13);
  }
}

TEST(ParallelForTest, UsesTheWorkers) {
  // Every item waits until two of them run: the caller alone would never finish.
  WorkerThreadPool pool(2);
  std::atomic<int> started{0};
  ParallelFor(&pool, 2, 2, [&started](int64_t /*item*/, int /*worker*/) {
    ++started;
    while (started < 2) std::this_thread::yield();
  });
  EXPECT_EQ(started, 2);
}

TEST(ParallelForTest, FinishesAloneAndLateTasksTouchNothing) {
  StalledThreadPool pool(8);
  int64_t sum = 0;
  {
    const auto body = [&sum](int64_t item, int worker) { sum += item + 1000 * worker; };
    ParallelFor(&pool, 8, 20, body);
  }
  EXPECT_EQ(sum, 190);
  pool.RunLateTasks();
  EXPECT_EQ(sum, 190);
}

TEST(ParallelForTest, MayBeNested) {
  WorkerThreadPool pool(3);
  std::atomic<int> runs{0};
  ParallelFor(&pool, 3, 6, [&](int64_t /*item*/, int /*worker*/) {
    ParallelFor(&pool, 3, 5, [&runs](int64_t /*item*/, int /*worker*/) { ++runs; });
  });
  EXPECT_EQ(runs, 30);
}

TEST(ParallelForTest, TakesItemsInOrder) {
  InlineThreadPool pool;
  std::vector<int64_t> order;
  ParallelFor(&pool, 4, 5, [&order](int64_t item, int worker) {
    EXPECT_EQ(worker, 0);
    order.push_back(item);
  });
  EXPECT_EQ(order, (std::vector<int64_t>{0, 1, 2, 3, 4}));
}

}  // namespace
}  // namespace fastconv::testing
