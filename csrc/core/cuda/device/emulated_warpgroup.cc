#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include "core/cuda/device/emulated_block.h"
#include "core/cuda/device/warpgroup.h"

namespace fastconv::cuda::emulation {
namespace {

constexpr int kRows = 64, kDepthBytes = 32, kMaxColumns = 256;
constexpr int kRegisterFile = 64 << 10;

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

struct Warpgroup {
  bool begun = false;  // BeginProducts came after the last change of sums
  Group open;
  std::deque<Group> committed;
  std::vector<float> sums;  // of all threads, when the last product started
  int registers = 0;
};

struct Warpgroups {
  std::vector<Warpgroup> all;
  int free_registers = 0;
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
    if (transposed && row_bytes != 128) Fail("transposed operands here have rows of 128 bytes");
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
    for (int i = 0; i < product.columns / 2; ++i) {
      const int row = thread / 32 * 16 + thread / 4 % 8 + i / 2 % 2 * 8;
      const int column = i / 4 * 8 + thread % 4 * 2 + i % 2;
      product.d[thread][i] += d[row][column];
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

template <class Body>
void ForSums(const Product& product, const Body& body) {
  const int count = product.columns / 2;
  for (int thread = 0; thread < kWarpgroupSize; ++thread) {
    body(product.d[thread], thread * count, count);
  }
}

void Start(const Product& product) {
  Warpgroup& mine = Mine();
  if (!mine.begun) Fail("products start before their sums are known to be in registers");
  if (!watching_races) Fail("operands that no barrier brought");
  Group& open = mine.open;
  if (open.products.empty()) {
    const int first_warp = WarpIndex() / 4 * 4;
    for (int i = 0; i < 4; ++i) open.reads[i] = Races().BeginReads(first_warp + i);
  }
  WatchOperand(open, Descriptor(product.a, product.transposed), kRows);
  WatchOperand(open, Descriptor(product.b, product.transposed), product.columns);
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

// Sums of products under way stay as they are until the products are done.
void RememberSums(Warpgroup* group) {
  group->sums.clear();
  const auto remember = [&](const Group& products) {
    for (const Product& product : products.products) {
      ForSums(product, [&](const float* d, int, int count) {
        group->sums.insert(group->sums.end(), d, d + count);
      });
    }
  };
  for (const Group& products : group->committed) remember(products);
}

void CheckSums(const Warpgroup& group) {
  const float* expected = group.sums.data();
  for (const Group& products : group.committed) {
    for (const Product& product : products.products) {
      ForSums(product, [&](const float* d, int, int count) {
        if (std::memcmp(d, expected, count * sizeof(float)) != 0) {
          Fail("changes sums of products that are under way");
        }
        expected += count;
      });
    }
  }
}

void CommitAll(void* const*) {
  Warpgroup& mine = Mine();
  CheckSums(mine);
  if (mine.open.products.empty()) Fail("a group without products");
  mine.committed.push_back(mine.open);
  mine.open.products.clear();
  RememberSums(&mine);
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
  RememberSums(&mine);
  mine.begun = false;
}

void SetAllRegisters(void* const* lanes) {
  const int count = *static_cast<const int*>(lanes[0]);
  if (count % 8 != 0 || count < 24 || count > 256) Fail("no such number of registers");
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
  State().free_registers = kRegisterFile - groups * registers * kWarpgroupSize;
}

void EndProductsOfBlock() {
  for (const Warpgroup& group : State().all) {
    if (!group.open.products.empty() || !group.committed.empty()) {
      Fail("a warpgroup ends with products under way");
    }
  }
}

void BeginProducts() {
  WithWarpgroup([](void* const*) { Mine().begun = true; }, nullptr);
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

void SetRegisters(int count) {
  const Warpgroup& mine = Mine();
  const int more = (count - mine.registers) * kWarpgroupSize;
  WaitUntil([&] { return State().free_registers >= more || mine.registers == count; });
  WithWarpgroup(&SetAllRegisters, &count);
}

}  // namespace fastconv::cuda::emulation
