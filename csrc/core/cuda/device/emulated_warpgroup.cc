#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <unordered_map>
#include <vector>

#include "core/cuda/device/emulated_block.h"
#include "core/cuda/device/warpgroup.h"

namespace fastconv::cuda::emulation {
namespace {

constexpr int kRows = 64, kDepthBytes = 32, kMaxColumns = 256;
constexpr int kRegisterFile = 64 << 10;
constexpr int kNextAlignment = 1024;  // after which the permutation of rows repeats

struct Product {
  uint64_t a, b;
  bool transposed;
  int columns;
  float* d[kWarpgroupSize];
  void (*multiply)(const Product& product);
};

struct Group {
  std::vector<Product> products;
  int reads[4] = {};  // operations, one per warp
};

// Sums of a thread, as they were when it called BeginProducts.
struct Begun {
  const float* begin = nullptr;
  std::vector<float> values;
};

struct Warpgroup {
  Begun begun[kWarpgroupSize];  // empty from WaitForProducts on
  Group open;
  std::deque<Group> committed;
  // Of products under way, by where the thread has the sums; there stands NaN instead.
  std::unordered_map<float*, std::vector<float>> under_way;
  int registers = 0;
};

struct Warpgroups {
  std::vector<Warpgroup> all;
  int free_registers = 0;  // what warpgroups of the block have released
};

Warpgroups& State() {
  static Warpgroups* const state = new Warpgroups;
  return *state;
}
Warpgroup& Mine() { return State().all[ThreadIndex() / kWarpgroupSize]; }

// The PTX ISA's matrix descriptor ("Matrix Descriptor Format", "Strides").
struct Descriptor {
  uint32_t start, next_distance, group_distance;
  int row_bytes;
  bool transposed;

  Descriptor(uint64_t bits, bool transposed)
      : start(static_cast<uint32_t>(bits & 0x3FFF) << 4),
        next_distance(static_cast<uint32_t>(bits >> 16 & 0x3FFF) << 4),
        group_distance(static_cast<uint32_t>(bits >> 32 & 0x3FFF) << 4),
        transposed(transposed) {
    const auto base_offset = bits >> 49 & 7, swizzle = bits >> 62;
    if (base_offset != 0) Fail("no operand here has a base offset");
    if (swizzle != 1 && swizzle != 2) Fail("an operand without one of the two swizzled layouts");
    row_bytes = swizzle == 1 ? 128 : 64;
    if (!transposed) {
      if (next_distance != 16) Fail("rows have no distance to a next part");
      if (start % row_bytes + kDepthBytes > static_cast<uint32_t>(row_bytes)) {
        Fail("a product beyond the end of its rows");
      }
    } else if (row_bytes != 128 || start % row_bytes != 0) {
      Fail("transposed operands are whole rows of 128 bytes");
    }
  }

  // Of 16-bit types, where the operand has so many rows of A or columns of B.
  void CheckNext(int rows) const {
    if (transposed && 2 * rows > row_bytes && next_distance % kNextAlignment != 0) {
      Fail("parts of an operand whose rows are permuted differently");
    }
  }

  // K-major: the canonical layout ((8, m), (T, 2k)) : ((8T, SBO), (1, T)), MN-major:
  // ((T, 8, m), (8, k)) : ((1, T, LBO), (8T, SBO)), with Swizzle<3, 4, 3> or <2, 4, 3> applied to
  // the address; T elements are 16 bytes. `row`: of A, or column of B; `k` in bytes or, transposed,
  // in rows of the map.
  uint32_t Address(int row, int k, int element_bytes) const {
    const int line = transposed ? k : row, byte = (transposed ? row * element_bytes : k);
    const int across = byte / row_bytes;  // of a transposed operand's groups of 64
    const uint32_t address = start + line / 8 * group_distance + line % 8 * row_bytes +
                             across * next_distance + byte % row_bytes;
    const uint32_t mask = row_bytes == 128 ? 0x70 : 0x30;
    return address ^ (address >> 3 & mask);
  }
};

float Value(BFloat16, const unsigned char* p) {
  uint16_t bits;
  std::memcpy(&bits, p, sizeof(bits));
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}
float Value(Float16, const unsigned char* p) {
  uint16_t bits;
  std::memcpy(&bits, p, sizeof(bits));
  return FromFloat16(bits);
}
float Value(float, const unsigned char* p) {
  uint32_t bits;
  std::memcpy(&bits, p, sizeof(bits));
  bits &= 0xFFFFE000u;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

template <class T>
void ReadRow(const Descriptor& operand, int row, float* values) {
  constexpr int kElement = static_cast<int>(sizeof(T)), kDepth = kDepthBytes / kElement;
  for (int i = 0; i < kDepth; ++i) {
    const int k = operand.transposed ? i : i * kElement;
    values[i] = Value(T(), FromSharedAddress(operand.Address(row, k, kElement), kElement));
  }
}

template <class T>
void Multiply(const Product& product) {
  constexpr int kDepth = kDepthBytes / static_cast<int>(sizeof(T));
  static float a[kRows][kDepth], b[kDepth][kMaxColumns], d[kRows][kMaxColumns];
  const Descriptor a_operand(product.a, product.transposed);
  const Descriptor b_operand(product.b, product.transposed);
  for (int row = 0; row < kRows; ++row) ReadRow<T>(a_operand, row, a[row]);
  for (int column = 0; column < product.columns; ++column) {
    float values[kDepth];
    ReadRow<T>(b_operand, column, values);
    for (int k = 0; k < kDepth; ++k) b[k][column] = values[k];
  }
  for (int row = 0; row < kRows; ++row) {
    std::fill_n(d[row], product.columns, 0.0f);
    for (int k = 0; k < kDepth; ++k) {
      for (int column = 0; column < product.columns; ++column) {
        d[row][column] += a[row][k] * b[k][column];
      }
    }
  }
  for (int thread = 0; thread < kWarpgroupSize; ++thread) {
    std::vector<float>& sums = Mine().under_way.at(product.d[thread]);
    for (int i = 0; i < product.columns / 2; ++i) {
      const int row = thread / 32 * 16 + thread / 4 % 8 + i / 2 % 2 * 8;
      const int column = i / 4 * 8 + thread % 4 * 2 + i % 2;
      sums[i] += d[row][column];
    }
  }
}

// For each warp: the parts of 16 bytes that the operand takes.
void WatchOperand(const Group& group, const Descriptor& operand, int rows) {
  constexpr int kElement = 2, kPart = 16 / kElement;  // the size matters to transposed ones alone
  const int row_step = operand.transposed ? kPart : 1;
  const int k_count = operand.transposed ? kDepthBytes / kElement : kDepthBytes;
  const int k_step = operand.transposed ? 1 : 16;
  for (int operation : group.reads) {
    for (int row = 0; row < rows; row += row_step) {
      for (int k = 0; k < k_count; k += k_step) {
        const unsigned char* p = FromSharedAddress(operand.Address(row, k, kElement), 16);
        Races().ReadAsync(operation, SharedOffset(p, 16), 16);
      }
    }
  }
}

// A signalling NaN, which arithmetic would make quiet.
constexpr uint32_t kUnderWay = 0x7FA5A5A5u;

void CheckSums(const Warpgroup& group) {
  for (const auto& [d, values] : group.under_way) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (std::memcmp(d + i, &kUnderWay, sizeof(kUnderWay)) != 0) {
        Fail("changes sums of products that are under way");
      }
    }
  }
}

// What registers hold is undefined from the first product on until WaitForProducts.
void TakeSums(const Begun& begun, float* d, int count) {
  const int64_t first = d - begun.begin;
  if (begun.values.empty() || first < 0 ||
      first + count > static_cast<int64_t>(begun.values.size())) {
    Fail("products start before their sums are known to be in registers");
  }
  auto [taken, is_first] = Mine().under_way.try_emplace(d);
  if (!is_first) return;
  if (std::memcmp(d, begun.values.data() + first, count * sizeof(float)) != 0) {
    Fail("changes sums between BeginProducts and their products");
  }
  taken->second.assign(d, d + count);
  for (int i = 0; i < count; ++i) std::memcpy(d + i, &kUnderWay, sizeof(kUnderWay));
}

void ReturnSums(Warpgroup* group) {
  const auto is_under_way = [&](const float* d) {
    for (const Group& products : group->committed) {
      for (const Product& product : products.products) {
        if (std::find(product.d, product.d + kWarpgroupSize, d) != product.d + kWarpgroupSize) {
          return true;
        }
      }
    }
    return false;
  };
  for (auto i = group->under_way.begin(); i != group->under_way.end();) {
    if (is_under_way(i->first)) {
      ++i;
    } else {
      std::copy(i->second.begin(), i->second.end(), i->first);
      i = group->under_way.erase(i);
    }
  }
}

void Start(const Product& product) {
  Warpgroup& mine = Mine();
  CheckSums(mine);
  for (int thread = 0; thread < kWarpgroupSize; ++thread) {
    TakeSums(mine.begun[thread], product.d[thread], product.columns / 2);
  }
  if (!watching_races) Fail("operands that no barrier brought");
  Group& open = mine.open;
  if (open.products.empty()) {
    const int first_warp = WarpIndex() / 4 * 4;
    for (int i = 0; i < 4; ++i) open.reads[i] = Races().BeginReads(first_warp + i);
  }
  const auto watch = [&](uint64_t bits, int rows) {
    const Descriptor operand(bits, product.transposed);
    operand.CheckNext(rows);
    WatchOperand(open, operand, rows);
  };
  watch(product.a, kRows);
  watch(product.b, product.columns);
  open.products.push_back(product);
}

struct StartOperands {
  uint64_t a, b;
  bool transposed;
  int columns;
  float* d;
  void (*multiply)(const Product& product);
};

void StartAll(void* const* lanes) {
  const auto& first = *static_cast<const StartOperands*>(lanes[0]);
  Product product = {first.a, first.b, first.transposed, first.columns, {}, first.multiply};
  for (int thread = 0; thread < kWarpgroupSize; ++thread) {
    const auto& mine = *static_cast<const StartOperands*>(lanes[thread]);
    if (mine.a != first.a || mine.b != first.b) Fail("threads of a warpgroup differ in operands");
    product.d[thread] = mine.d;
  }
  Start(product);
}

void CommitAll(void* const*) {
  Warpgroup& mine = Mine();
  CheckSums(mine);
  if (mine.open.products.empty()) Fail("a group without products");
  mine.committed.push_back(mine.open);
  mine.open.products.clear();
}

void WaitAll(void* const* lanes) {
  Warpgroup& mine = Mine();
  const int left = *static_cast<const int*>(lanes[0]);
  CheckSums(mine);
  while (static_cast<int>(mine.committed.size()) > left) {
    const Group& group = mine.committed.front();
    for (const Product& product : group.products) product.multiply(product);
    for (int operation : group.reads) Races().EndReads(operation);
    mine.committed.pop_front();
  }
  ReturnSums(&mine);
  for (Begun& begun : mine.begun) begun = {};
}

void SetAllRegisters(void* const* lanes) {
  const int count = *static_cast<const int*>(lanes[0]);
  Warpgroup& mine = Mine();
  State().free_registers += (mine.registers - count) * kWarpgroupSize;
  mine.registers = count;
  MadeProgress();
}

}  // namespace

void BeginProductsOfBlock(int threads) {
  const int groups = threads / kWarpgroupSize;
  State().all.assign(groups, Warpgroup());
  const int registers = std::min(kRegisterFile / threads / 8 * 8, 248);
  for (Warpgroup& group : State().all) group.registers = registers;
  State().free_registers = 0;
}

void EndProductsOfBlock() {
  for (const Warpgroup& group : State().all) {
    if (!group.open.products.empty() || !group.committed.empty()) {
      Fail("a warpgroup ends with products under way");
    }
  }
}

void BeginProducts(const float* d, int count) {
  Begun mine = {d, {d, d + count}};
  WithWarpgroup(
      [](void* const* lanes) {
        for (int thread = 0; thread < kWarpgroupSize; ++thread) {
          Mine().begun[thread] = *static_cast<const Begun*>(lanes[thread]);
        }
      },
      &mine);
}
void CommitProducts() { WithWarpgroup(&CommitAll, nullptr); }
void WaitForProducts(int left) { WithWarpgroup(&WaitAll, &left); }

template <class T>
void MultiplyAddAsync(uint64_t a, uint64_t b, bool transposed, int columns, float* d) {
  StartOperands mine = {a, b, transposed, columns, d, &Multiply<T>};
  WithWarpgroup(&StartAll, &mine);
}
template void MultiplyAddAsync<BFloat16>(uint64_t, uint64_t, bool, int, float*);
template void MultiplyAddAsync<Float16>(uint64_t, uint64_t, bool, int, float*);
template void MultiplyAddAsync<float>(uint64_t, uint64_t, bool, int, float*);

void RequireDescribable(const void* start, int distance) {
  RequireAligned(start, 16);
  if (distance < 0 || distance % 16 != 0 || distance >= 1 << 18) Fail("no such distance");
}

void SetRegisters(int count, bool raise) {
  const Warpgroup& mine = Mine();
  if (count % 8 != 0 || count < 24 || count > 256) Fail("no such number of registers");
  if (raise ? count < mine.registers : count > mine.registers) {
    Fail("lowers registers to more, or raises them to fewer, than there are");
  }
  const int more = (count - mine.registers) * kWarpgroupSize;
  WaitUntil([&] { return State().free_registers >= more || mine.registers == count; });
  WithWarpgroup(&SetAllRegisters, &count);
}

}  // namespace fastconv::cuda::emulation
