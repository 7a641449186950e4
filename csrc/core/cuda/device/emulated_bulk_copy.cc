#include <cstdint>
#include <cstring>
#include <functional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/cuda/device/bulk_copy.h"
#include "core/cuda/device/emulated_block.h"

namespace fastconv::cuda {
namespace emulation {

bool watching_races = false;

namespace {

constexpr int kMaxCount = (1 << 20) - 1;  // of a barrier's arrivals, and of its bytes
constexpr int kNamedBarriers = 16;

struct BarrierState {
  int arrivals, pending;
  int64_t expected_bytes = 0;
  int phase = 0;
  int thread, initialiser;  // who initialised it, and its warp
  uint32_t initialised;
  bool fenced = false;
  RaceDetector::Clock arrived{}, over{};  // of the phase under way; of those that are over
  std::vector<int> writes;                // operations that ended, in order
  size_t writes_over = 0;                 // of them, in phases that are over
  std::array<size_t, RaceDetector::kMaxWarps> observed{};
};

struct Store {
  unsigned char* to;
  const unsigned char* from;
  int bytes;
  int operation;
  bool performed;
};

struct Stores {
  std::vector<Store> open, committed;
};

// A barrier of some warps.
struct NamedBarrier {
  int threads = 0, waiting = 0;
  uint64_t round = 0;
  uint32_t warps = 0;
};

struct BlockState {
  int threads, shared_bytes;
  RaceDetector races;
  std::unordered_map<const Barrier*, BarrierState> barriers;
  std::unordered_map<int, Stores> stores;  // of a thread
  std::unordered_map<int, NamedBarrier> named;
  int loads_under_way = 0;
};

BlockState& State() {
  static BlockState* const state = new BlockState;
  return *state;
}

BarrierState& StateOf(const Barrier* barrier) {
  const auto found = State().barriers.find(barrier);
  if (found == State().barriers.end()) Fail("a barrier is used that nobody initialised");
  BarrierState& state = found->second;
  if (WarpIndex() != state.initialiser &&
      !Races().Knows(WarpIndex(), state.initialiser, state.initialised)) {
    Fail("a barrier is used with no order after its initialisation");
  }
  return state;
}

void EndPhaseIfComplete(BarrierState* state) {
  if (state->pending > 0 || state->expected_bytes != 0) return;
  ++state->phase;
  state->pending = state->arrivals;
  for (size_t i = 0; i < state->over.size(); ++i) {
    state->over[i] = std::max(state->over[i], state->arrived[i]);
  }
  state->writes_over = state->writes.size();
  MadeProgress();
}

void ArriveAt(Barrier* barrier, int bytes) {
  BarrierState& state = StateOf(barrier);
  if (--state.pending < 0) Fail("more arrivals at a barrier than it counts");
  state.expected_bytes += bytes;
  if (bytes < 0 || state.expected_bytes > kMaxCount) Fail("a barrier does not count so many bytes");
  Races().Release(WarpIndex(), &state.arrived);
  EndPhaseIfComplete(&state);
}

// Starts a load into [to, to + bytes).
void StartLoad(void* to, int bytes, Barrier* barrier, std::function<void()> copy) {
  if (!StateOf(barrier).fenced) Fail("a bulk copy arrives at a barrier that no fence follows");
  const int operation = Races().BeginWrites(WarpIndex());
  Races().WriteAsync(operation, SharedOffset(to, bytes), bytes);
  ++State().loads_under_way;
  auto perform = [=, copy = std::move(copy)] {
    copy();
    BarrierState& state = State().barriers.at(barrier);
    state.expected_bytes -= bytes;
    state.writes.push_back(operation);
    --State().loads_under_way;
    EndPhaseIfComplete(&state);
  };
  if (IsOddBlock()) {
    perform();
  } else {
    Defer(std::move(perform));
  }
}

void RequireParts(const void* to, const void* from, int bytes) {
  RequireAligned(to, 16);
  RequireAligned(from, 16);
  if (bytes <= 0 || bytes % 16 != 0) Fail("a bulk copy of a part of 16 bytes");
}

void Perform(Store* store) {
  if (!store->performed) std::memcpy(store->to, store->from, store->bytes);
  store->performed = true;
}

void WaitForReads(Stores* stores) {
  for (Store& store : stores->committed) {
    Perform(&store);
    Races().EndReads(store.operation);
  }
  stores->committed.clear();
}

// Where byte `offset` of a box lies, with rows of `row_bytes`: the parts of 16 bytes of a row are
// permuted by the row's number; which row is the first depends on the address.
uint32_t PermutedAddress(uint32_t address, int row_bytes) {
  const uint32_t rows = address / 128 % (row_bytes / 16);
  return address ^ rows * 16;
}

}  // namespace

void BeginBlock(int threads, int shared_bytes) {
  BlockState& state = State();
  watching_races = false;
  state.threads = threads;
  state.shared_bytes = shared_bytes;
  state.barriers.clear();
  state.stores.clear();
  state.named.clear();
  state.loads_under_way = 0;
  BeginProductsOfBlock(threads);
}

void EndBlock() {
  EndProductsOfBlock();
  if (State().loads_under_way > 0) Fail("a block ends before its bulk copies have come");
  for (const auto& [thread, stores] : State().stores) {
    if (!stores.open.empty() || !stores.committed.empty()) {
      Fail("a thread ends before its bulk copies have read shared memory");
    }
  }
  watching_races = false;
}

RaceDetector& Races() { return State().races; }

void WatchRaces() {
  if (watching_races) return;
  watching_races = true;
  Races().Start(State().threads / kWarpSize, State().shared_bytes);
}

void MeetWarps(uint32_t warps) {
  if (watching_races) Races().Meet(warps);
}

int SharedOffset(const void* p, int bytes) {
  RequireShared(p, bytes);
  return static_cast<int>(static_cast<const unsigned char*>(p) - SharedMemory());
}

void WatchShared(const void* p, int bytes, Access access) {
  const auto* first = static_cast<const unsigned char*>(p);
  if (first < SharedMemory() || first >= SharedMemory() + State().shared_bytes) return;
  const int at = SharedOffset(p, bytes);
  if (access == Access::kRead) {
    Races().Read(WarpIndex(), at, bytes);
  } else {
    Races().Write(WarpIndex(), at, bytes);
  }
}

}  // namespace emulation

void Initialize(Barrier* barrier, int arrivals) {
  using namespace emulation;  // NOLINT
  RequireAligned(barrier, sizeof(Barrier));
  const int at = SharedOffset(barrier, sizeof(Barrier));
  if (arrivals < 1 || arrivals > kMaxCount) Fail("a barrier does not count so many arrivals");
  if (State().barriers.count(barrier) > 0) Fail("a barrier is initialised twice");
  WatchRaces();
  Races().Reserve(at, sizeof(Barrier));
  BarrierState state;
  state.arrivals = state.pending = arrivals;
  state.thread = ThreadIndex();
  state.initialiser = WarpIndex();
  state.initialised = Races().Now(WarpIndex());
  State().barriers[barrier] = state;
}

void FenceBarriers() {
  for (auto& [barrier, state] : emulation::State().barriers) {
    if (state.thread == ThreadIndex()) state.fenced = true;
  }
}

void Arrive(Barrier* barrier) { emulation::ArriveAt(barrier, 0); }
void ArriveExpecting(Barrier* barrier, int bytes) { emulation::ArriveAt(barrier, bytes); }

void WaitPhase(Barrier* barrier, int parity) {
  emulation::BarrierState& state = emulation::StateOf(barrier);
  emulation::WaitUntil([&] { return state.phase % 2 != parity; });
  const int warp = WarpIndex();
  emulation::Races().Acquire(warp, state.over);
  for (size_t& i = state.observed[warp]; i < state.writes_over; ++i) {
    emulation::Races().ObserveWrites(state.writes[i], warp);
  }
}

void LoadBulk(void* to, const void* from, int bytes, Barrier* barrier) {
  emulation::RequireParts(to, from, bytes);
  emulation::StartLoad(to, bytes, barrier, [=] { std::memcpy(to, from, bytes); });
}

void LoadTile(void* to, const TensorMap& map, const TilePosition& at, Barrier* barrier) {
  emulation::RequireParameter(&map, sizeof(map));
  const TileDescription& tile = map.tile;
  const int size = static_cast<int>(SizeOf(tile.dtype));
  const int row_bytes = tile.box[0] * size;
  if (at.index[0] * size % 16 != 0) emulation::Fail("a box that begins within 16 bytes");
  const uint32_t first = emulation::SharedAddress(to);
  // Where the permutation repeats, so that it begins with the box.
  if (first % (8 * row_bytes) != 0) emulation::Fail("misaligned box");
  const int rows = tile.box[1] * tile.box[2] * tile.box[3];
  emulation::StartLoad(to, rows * row_bytes, barrier, [=] {
    for (int row = 0; row < rows; ++row) {
      const int64_t index[] = {at.index[1] + row % tile.box[1],
                               at.index[2] + row / tile.box[1] % tile.box[2],
                               at.index[3] + row / tile.box[1] / tile.box[2]};
      const auto* from = static_cast<const unsigned char*>(tile.tensor);
      bool present = true;
      for (int i = 0; i < 3; ++i) {
        present = present && index[i] >= 0 && index[i] < tile.extent[i + 1];
        from += index[i] * tile.stride_bytes[i];
      }
      for (int byte = 0; byte < row_bytes; byte += size) {
        const int64_t element = at.index[0] + byte / size;
        const uint32_t address =
            emulation::PermutedAddress(first + row * row_bytes + byte, row_bytes);
        unsigned char* into = emulation::FromSharedAddress(address, size);
        if (present && element >= 0 && element < tile.extent[0]) {
          std::memcpy(into, from + element * size, size);
        } else {
          std::memset(into, 0, size);
        }
      }
    }
  });
}

void StoreBulk(void* to, const void* from, int bytes) {
  emulation::RequireParts(to, from, bytes);
  const int operation = emulation::Races().BeginReads(WarpIndex());
  emulation::Races().ReadAsync(operation, emulation::SharedOffset(from, bytes), bytes);
  emulation::Store store = {static_cast<unsigned char*>(to),
                            static_cast<const unsigned char*>(from), bytes, operation, false};
  if (emulation::IsOddBlock()) emulation::Perform(&store);
  emulation::State().stores[ThreadIndex()].open.push_back(store);
}

void CommitStores() {
  emulation::Stores& stores = emulation::State().stores[ThreadIndex()];
  stores.committed.insert(stores.committed.end(), stores.open.begin(), stores.open.end());
  stores.open.clear();
}

void WaitForStoreReads() { emulation::WaitForReads(&emulation::State().stores[ThreadIndex()]); }
void WaitForStores() { WaitForStoreReads(); }

void FenceBulkCopies() {
  emulation::WithWarp([](void* const*) { emulation::Races().Fence(WarpIndex()); }, nullptr);
}

void PrefetchMap(const TensorMap& map) { emulation::RequireParameter(&map, sizeof(map)); }

// Hardware counts warps, not threads: the lanes of each come together.
void SyncGroup(int id, int threads) {
  if (id < 1 || id >= emulation::kNamedBarriers || threads <= 0 || threads % kWarpSize != 0) {
    emulation::Fail("no such barrier of warps");
  }
  SyncWarp();
  emulation::NamedBarrier& barrier = emulation::State().named[id];
  if (barrier.waiting > 0 && barrier.threads != threads) {
    emulation::Fail("warps disagree on how many meet at a barrier");
  }
  barrier.threads = threads;
  barrier.warps |= 1u << WarpIndex();
  if (++barrier.waiting < threads) {
    const uint64_t round = barrier.round;
    emulation::WaitUntil([&] { return barrier.round != round; });
    return;
  }
  emulation::MeetWarps(barrier.warps);
  barrier.waiting = 0;
  barrier.warps = 0;
  ++barrier.round;
  emulation::MadeProgress();
}

}  // namespace fastconv::cuda
