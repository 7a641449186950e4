// Jumps between stacks are what fibers do; the checked longjmp refuses them.
#undef _FORTIFY_SOURCE

#include <setjmp.h>
#include <ucontext.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "core/cuda/device/emulated_block.h"
#include "core/cuda/device/matrix.h"

namespace fastconv::cuda {
namespace emulation {
namespace {

constexpr size_t kStackBytes = 256 << 10;
constexpr size_t kGuardBytes = 1024;
constexpr size_t kSharedAlignment = 128;
// Where the window of shared memory begins: as aligned as SharedMemory(), no better.
constexpr uint32_t kSharedAddress = 1024 + 3 * kSharedAlignment;
constexpr unsigned char kNan = 0xFF;
constexpr unsigned char kGuard = 0x5C;

// Asynchronous copies of a thread, not yet performed.
struct Copy {
  void* to;
  const void* from;
  bool present;

  void Perform() const {
    if (present) {
      std::memcpy(to, from, 16);
    } else {
      std::memset(to, 0, 16);
    }
  }
};

// Begins on a context of its own; from then on _setjmp and _longjmp switch, which, unlike
// swapcontext, make no system call.
struct Fiber {
  ucontext_t context;
  jmp_buf state;
  bool begun;
  std::unique_ptr<char[]> stack;
  Thread thread;
  bool running;
  std::vector<Copy> copies;              // not yet in a group
  std::deque<std::vector<Copy>> groups;  // oldest first
};

// A meeting point of threads.
struct Meeting {
  int waiting = 0;
  uint64_t round = 0;
};

// A meeting of a warp or a warpgroup, for an operation.
struct Gathering {
  Meeting meeting;
  WarpOperation operation = nullptr;
  void* lanes[4 * kWarpSize];
};

// The block that runs.
class BlockRun {
 public:
  void Run(const Thread& first, int threads, int shared_bytes, const Parameters& parameters,
           const std::function<void()>& kernel) {
    kernel_ = &kernel;
    parameters_ = parameters;
    shared_bytes_ = shared_bytes;
    barrier_ = {};
    warps_.assign(threads / kWarpSize, {});
    warpgroups_.assign(threads / (4 * kWarpSize), {});
    deferred_.clear();
    shared_.assign(shared_bytes + kGuardBytes + kSharedAlignment, kGuard);
    const auto address = reinterpret_cast<uintptr_t>(shared_.data());
    shared_begin_ =
        shared_.data() + (kSharedAlignment - address % kSharedAlignment) % kSharedAlignment;
    std::memset(shared_begin_, kNan, shared_bytes);
    BeginBlock(threads, shared_bytes);
    if (fibers_.size() < static_cast<size_t>(threads)) fibers_.resize(threads);
    for (int i = 0; i < threads; ++i) Start(first, i);
    odd_ = (first.block.x + first.block.y) % 2 != 0;
    const int warps = threads / kWarpSize;
    for (running_ = threads; running_ > 0;) {
      const uint64_t before = progress_;
      for (int i = 0; i < warps; ++i) RunWarp(odd_ ? warps - 1 - i : i);
      if (progress_ == before) PerformDeferred();
    }
    EndBlock();
    const unsigned char* end = shared_.data() + shared_.size();
    for (const unsigned char* p = shared_begin_ + shared_bytes; p < end; ++p) {
      if (*p != kGuard) Fail("wrote beyond the shared memory");
    }
  }

  const Thread& thread() const { return current_->thread; }
  Fiber& fiber() { return *current_; }
  unsigned char* shared() const { return shared_begin_; }
  int shared_bytes() const { return shared_bytes_; }
  const Parameters& parameters() const { return parameters_; }
  bool odd() const { return odd_; }
  Meeting& barrier() { return barrier_; }
  int threads() const { return static_cast<int>(warps_.size()) * kWarpSize; }
  Gathering& warp() { return warps_[thread().index / kWarpSize]; }
  Gathering& warpgroup() {
    const size_t index = thread().index / (4 * kWarpSize);
    if (index >= warpgroups_.size()) Fail("not in a warpgroup of four warps");
    return warpgroups_[index];
  }
  void Defer(std::function<void()> work) { deferred_.push_back(std::move(work)); }

  // True for the last of `count` threads; the others return once it has called Release.
  bool IsLast(Meeting* meeting, int count) {
    if (++meeting->waiting == count) return true;
    for (const uint64_t round = meeting->round; meeting->round == round;) Yield();
    return false;
  }
  void Release(Meeting* meeting) {
    meeting->waiting = 0;
    ++meeting->round;
    MadeProgress();
  }
  void MadeProgress() { ++progress_; }
  void Yield() {
    if (_setjmp(current_->state) == 0) _longjmp(scheduler_, 1);
  }

 private:
  void Start(const Thread& first, int index) {
    Fiber& fiber = fibers_[index];
    if (fiber.stack == nullptr) fiber.stack.reset(new char[kStackBytes]);
    fiber.thread = first;
    fiber.thread.index = index;
    fiber.running = true;
    fiber.copies.clear();
    fiber.groups.clear();
    fiber.begun = false;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, &BlockRun::Main, 0);
  }
  static void Main();
  // As far as it comes without the other warps.
  void RunWarp(int warp) {
    uint64_t before;
    do {
      before = progress_;
      for (int lane = 0; lane < kWarpSize; ++lane) {
        current_ = &fibers_[warp * kWarpSize + (odd_ ? kWarpSize - 1 - lane : lane)];
        if (!current_->running) continue;
        Resume();
        if (!current_->running) --running_;
      }
    } while (progress_ != before);
  }
  void Resume() {
    if (_setjmp(scheduler_) != 0) return;
    if (current_->begun) _longjmp(current_->state, 1);
    current_->begun = true;
    setcontext(&current_->context);
  }
  void PerformDeferred() {
    if (deferred_.empty()) Fail("threads wait for others that do not come");
    const std::function<void()> work = std::move(deferred_.back());
    deferred_.pop_back();
    work();
    ++progress_;
  }

  const std::function<void()>* kernel_ = nullptr;
  Parameters parameters_ = {};
  jmp_buf scheduler_;
  std::vector<Fiber> fibers_;
  Fiber* current_ = nullptr;
  uint64_t progress_ = 0;
  bool odd_ = false;
  int running_ = 0;
  Meeting barrier_;
  std::vector<Gathering> warps_, warpgroups_;
  std::vector<std::function<void()>> deferred_;
  std::vector<unsigned char> shared_;
  unsigned char* shared_begin_ = nullptr;
  int shared_bytes_ = 0;
};

BlockRun& Running() {
  static BlockRun* const run = new BlockRun;
  return *run;
}

void BlockRun::Main() {
  BlockRun& run = Running();
  (*run.kernel_)();
  run.current_->running = false;
  ++run.progress_;
  _longjmp(run.scheduler_, 1);
}

}  // namespace

void RunGrid(Block grid, int threads, int shared_bytes, const Parameters& parameters,
             const std::function<void()>& kernel) {
  if (threads % kWarpSize != 0) Fail("a block must be made of whole warps");
  for (int y = 0; y < grid.y; ++y) {
    for (int x = 0; x < grid.x; ++x) {
      Running().Run({0, {x, y}, grid}, threads, shared_bytes, parameters, kernel);
    }
  }
}

const Thread& CurrentThread() { return Running().thread(); }
unsigned char* SharedMemory() { return Running().shared(); }

void SyncThreads() {
  BlockRun& run = Running();
  if (!run.IsLast(&run.barrier(), run.threads())) return;
  MeetWarps(~0u);
  run.Release(&run.barrier());
}

namespace {

void Gather(Gathering* gathering, int count, WarpOperation operation, void* mine) {
  BlockRun& run = Running();
  if (gathering->meeting.waiting > 0 && gathering->operation != operation) {
    Fail("lanes of a warp call different collective operations");
  }
  gathering->operation = operation;
  gathering->lanes[run.thread().index % count] = mine;
  if (!run.IsLast(&gathering->meeting, count)) return;
  operation(gathering->lanes);
  run.Release(&gathering->meeting);
}

}  // namespace

void WithWarp(WarpOperation operation, void* mine) {
  Gather(&Running().warp(), kWarpSize, operation, mine);
}
void WithWarpgroup(WarpOperation operation, void* mine) {
  Gather(&Running().warpgroup(), 4 * kWarpSize, operation, mine);
}

bool IsOddBlock() { return Running().odd(); }
void WaitUntil(const std::function<bool()>& condition) {
  while (!condition()) Running().Yield();
}
void MadeProgress() { Running().MadeProgress(); }
void Defer(std::function<void()> work) { Running().Defer(std::move(work)); }

void Fail(const char* what) {
  const Thread& thread = CurrentThread();
  std::fprintf(stderr, "emulated kernel, block (%d, %d), thread %d: %s\n", thread.block.x,
               thread.block.y, thread.index, what);
  std::abort();
}

void RequireAligned(const void* p, int bytes) {
  if (reinterpret_cast<uintptr_t>(p) % bytes != 0) Fail("misaligned access");
}

void RequireShared(const void* p, int bytes) {
  const BlockRun& run = Running();
  const auto* first = static_cast<const unsigned char*>(p);
  if (first < run.shared() || first + bytes > run.shared() + run.shared_bytes()) {
    Fail("not in the shared memory");
  }
}

void RequireParameter(const void* p, size_t bytes) {
  const Parameters& parameters = Running().parameters();
  const auto* begin = static_cast<const unsigned char*>(parameters.begin);
  const auto* first = static_cast<const unsigned char*>(p);
  if (first < begin || first + bytes > begin + parameters.bytes) {
    Fail("not a parameter of the kernel, but a copy");
  }
}

uint32_t SharedAddress(const void* p) {
  return kSharedAddress +
         static_cast<uint32_t>(static_cast<const unsigned char*>(p) - Running().shared());
}
unsigned char* FromSharedAddress(uint32_t address, int bytes) {
  unsigned char* p = Running().shared() + (static_cast<int64_t>(address) - kSharedAddress);
  RequireShared(p, bytes);
  return p;
}

void WaitForCopies(int left) {
  auto& groups = Running().fiber().groups;
  for (; groups.size() > static_cast<size_t>(left); groups.pop_front()) {
    for (const Copy& copy : groups.front()) copy.Perform();
  }
}

}  // namespace emulation

void CopyAsync(void* to, const void* from, bool present) {
  emulation::RequireAligned(to, 16);
  emulation::RequireShared(to, 16);
  emulation::RequireAligned(from, 16);
  const emulation::Copy copy = {to, from, present};
  if (emulation::Running().odd()) {
    copy.Perform();
  } else {
    emulation::Running().fiber().copies.push_back(copy);
  }
}

void CommitCopies() {
  emulation::Fiber& fiber = emulation::Running().fiber();
  fiber.groups.push_back(std::move(fiber.copies));
  fiber.copies.clear();
}

float ShuffleXor(float v, int lanes) {
  struct Operands {
    float value, result;
    int lanes;
  } mine{v, 0, lanes};
  emulation::WithWarp(
      [](void* const* all) {
        for (int lane = 0; lane < kWarpSize; ++lane) {
          auto* to = static_cast<Operands*>(all[lane]);
          to->result = static_cast<const Operands*>(all[lane ^ to->lanes])->value;
        }
      },
      &mine);
  return mine.result;
}

uint16_t RoundToBFloat16(float v) {
  if (std::isnan(v)) return 0x7FFF;
  uint32_t bits;
  std::memcpy(&bits, &v, sizeof(bits));
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

uint16_t RoundToFloat16(float v) {
  const uint16_t sign = std::signbit(v) ? 0x8000 : 0;
  if (std::isnan(v)) return 0x7FFF;
  const float magnitude = std::fabs(v);
  if (magnitude >= 65520.0f) return sign | 0x7C00;  // half a unit above the largest number
  // Steps of the format at this size; below 2^-14 they stay the same.
  int exponent = -14;
  if (magnitude >= std::ldexp(1.0f, -14)) exponent = std::ilogb(magnitude);
  const auto steps = static_cast<uint16_t>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  // The leading one of a normal number, and a carry, count up the exponent.
  return sign | static_cast<uint16_t>(((exponent + 14) << 10) + steps);
}

float FromFloat16(uint16_t bits) {
  const int exponent = bits >> 10 & 0x1F, fraction = bits & 0x3FF;
  float magnitude;
  if (exponent == 0x1F) {
    magnitude = fraction == 0 ? INFINITY : NAN;
  } else if (exponent == 0) {
    magnitude = std::ldexp(static_cast<float>(fraction), -24);
  } else {
    magnitude = std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  }
  return bits & 0x8000 ? -magnitude : magnitude;
}

}  // namespace fastconv::cuda
