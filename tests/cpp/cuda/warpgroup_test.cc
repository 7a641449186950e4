// The emulated bulk copies of boxes and products of warpgroups do what kernels count on.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "element_types.h"
#include "expectation.h"
#include "warpgroup_kernels.h"

namespace fastconv::testing {
namespace {

// ---- boxes

struct BoxArgs {
  cuda::TensorMap map;
  cuda::TilePosition at;
  int bytes;
  uint8_t* copies;  // of the two blocks
};

void CopyBox(const BoxArgs& args) {
  const Area area = SharedArea();
  InitializeBarriers(area, 1);
  if (cuda::ThreadIndex() == 0) {
    cuda::ArriveExpecting(&area.barrier[0], args.bytes);
    cuda::LoadTile(area.data, args.map, args.at, &area.barrier[0]);
  }
  cuda::WaitPhase(&area.barrier[0], 0);
  for (int i = cuda::ThreadIndex(); i < args.bytes; i += kWarpgroup) {
    args.copies[cuda::BlockIndex().x * args.bytes + i] = cuda::Load<1>(area.data + i).word[0];
  }
}

void CopyBoxByCopiedMap(const BoxArgs& args) {
  const BoxArgs copied = args;
  CopyBox(copied);
}

// Every element of a box that hangs over all borders of its tensor, where the layout puts it.
template <int kRowBytes>
void CheckBox() {
  constexpr int kChannels = kRowBytes / 2, kWidth = 5, kHeight = 3, kImages = 4;
  constexpr int kBox[] = {kChannels, 7, 1, 3};
  std::vector<uint16_t> tensor(kChannels * kWidth * kHeight * kImages);
  for (size_t i = 0; i < tensor.size(); ++i) tensor[i] = static_cast<uint16_t>(i + 1);
  cuda::TileDescription tile = {};
  tile.dtype = DataType::kBFloat16;
  tile.tensor = tensor.data();
  const int64_t extent[] = {kChannels, kWidth, kHeight, kImages};
  std::copy(extent, extent + 4, tile.extent);
  std::copy(kBox, kBox + 4, tile.box);
  tile.stride_bytes[0] = kRowBytes;
  tile.stride_bytes[1] = kRowBytes * kWidth;
  tile.stride_bytes[2] = kRowBytes * kWidth * kHeight;
  BoxArgs args = {};
  ASSERT_TRUE(cuda::Encode(tile, &args.map).ok());
  constexpr int kRows = kBox[1] * kBox[3];
  args.bytes = kRows * kRowBytes;
  std::vector<uint8_t> copies(2 * args.bytes);
  args.copies = copies.data();
  for (const cuda::TilePosition& at :
       {cuda::TilePosition{{0, -1, 1, 2}}, {{0, 2, -1, 0}}, {{0, 0, 3, 0}}, {{0, 0, 2, -1}}}) {
    args.at = at;
    RunKernel<BoxArgs, CopyBox>(args);
    for (int i = 0; i < 2 * kRows * kChannels; ++i) {
      const int block = i / (kRows * kChannels), row = i / kChannels % kRows, c = i % kChannels;
      const int w = at.index[1] + row % kBox[1], h = at.index[2], n = at.index[3] + row / kBox[1];
      const bool inside = w >= 0 && w < kWidth && h >= 0 && h < kHeight && n >= 0 && n < kImages;
      const int expected = inside ? tensor[((n * kHeight + h) * kWidth + w) * kChannels + c] : 0;
      const int period = kRowBytes / 16, line = row * kRowBytes / 128;
      const int part = c / 8 ^ line % period;  // of 16 bytes
      uint16_t actual;
      std::memcpy(&actual, &copies[block * args.bytes + row * kRowBytes + part * 16 + c % 8 * 2],
                  2);
      ASSERT_EQ(actual, expected) << "row " << row << ", channel " << c;
    }
  }
}

TEST(CudaBulkCopyTest, BoxesOfPermutedRows) {
  CheckBox<128>();
  CheckBox<64>();
  CheckBox<32>();
}

TEST(CudaBulkCopyDeathTest, NoticesMapThatIsNoParameter) {
  alignas(16) static uint8_t memory[1024], copies[2 * 256];
  BoxArgs args = {};
  ASSERT_TRUE(
      cuda::Encode({DataType::kBFloat16, memory, {64, 2, 2, 2}, {128, 256, 512}, {64, 2, 1, 1}},
                   &args.map)
          .ok());
  args.bytes = 256;
  args.copies = copies;
  EXPECT_DEATH((RunKernel<BoxArgs, CopyBoxByCopiedMap>(args)), "not a parameter");
}

TEST(CudaBulkCopyTest, RefusesTensorsThatTheDriverWould) {
  alignas(16) static uint8_t memory[1024];
  const cuda::TileDescription valid = {
      DataType::kBFloat16, memory, {64, 2, 2, 2}, {128, 256, 512}, {64, 2, 1, 1}};
  cuda::TensorMap map;
  EXPECT_TRUE(cuda::Encode(valid, &map).ok());
  cuda::TileDescription tile = valid;
  tile.tensor = memory + 8;
  EXPECT_FALSE(cuda::Encode(tile, &map).ok());
  tile = valid;
  tile.stride_bytes[1] = 200;
  EXPECT_FALSE(cuda::Encode(tile, &map).ok());
  tile = valid;
  tile.box[1] = 257;
  EXPECT_FALSE(cuda::Encode(tile, &map).ok());
  tile = valid;
  tile.box[0] = 48;
  EXPECT_FALSE(cuda::Encode(tile, &map).ok());
}

// ---- products

// A [rows][row], of which 64 from `first_row` on are multiplied; B [kColumns][row].
struct ProductArgs {
  const void* operands;  // A, then B, as they shall lie in shared memory
  int bytes, b_offset;
  int first_row, first_byte;
  int b_distance;  // of transposed columns
  float* d;        // [block][64][kColumns]
};

template <int kColumns>
void StoreSums(const float (&sum)[kColumns / 2], float* d) {
  const int thread = cuda::ThreadIndex();
  for (int i = 0; i < kColumns / 2; ++i) {
    const int row = thread / 32 * 16 + thread % 32 / 4 + i % 4 / 2 * 8;
    const int column = i / 4 * 8 + thread % 4 * 2 + i % 2;
    d[(cuda::BlockIndex().x * 64 + row) * kColumns + column] = sum[i];
  }
}

template <class T, int kRowBytes, int kColumns>
void MultiplyOnce(const ProductArgs& args) {
  const Area area = SharedArea();
  InitializeBarriers(area, 1);
  if (cuda::ThreadIndex() == 0) {
    cuda::ArriveExpecting(&area.barrier[0], args.bytes);
    cuda::LoadBulk(area.data, args.operands, args.bytes, &area.barrier[0]);
  }
  cuda::WaitPhase(&area.barrier[0], 0);
  float d[1][kColumns / 2];
  for (int i = 0; i < kColumns / 2; ++i) d[0][i] = static_cast<float>(i);
  cuda::BeginProducts(d);
  const cuda::Operand a =
      cuda::RowsOperand<kRowBytes>(area.data) + (args.first_row * kRowBytes + args.first_byte);
  const cuda::Operand b = cuda::RowsOperand<kRowBytes>(area.data + args.b_offset);
  cuda::MultiplyAddAsync<kColumns>(T(), a, b + args.first_byte, d[0]);
  cuda::CommitProducts();
  cuda::WaitForProducts<0>(d);
  StoreSums<kColumns>(d[0], args.d);
}

template <class T, int kRowBytes, int kColumns>
void CheckProduct(DataType type) {
  constexpr int kRow = kRowBytes / static_cast<int>(sizeof(T));
  constexpr int kDepth = 32 / static_cast<int>(sizeof(T));
  constexpr int kRowsOfA = 80;  // whole periods of 1024 bytes in both layouts
  Random random("product");
  const std::vector<double> a = random.Integers(kRowsOfA * kRow, -8, 8);
  const std::vector<double> b = random.Integers(kColumns * kRow, -8, 8);
  ProductArgs args = {};
  args.b_offset = kRowsOfA * kRowBytes;
  args.bytes = args.b_offset + kColumns * kRowBytes;
  alignas(16) static uint8_t operands[kSharedBytes];
  const auto put = [&](const std::vector<double>& values, int offset) {
    for (size_t i = 0; i < values.size(); ++i) {
      const auto byte = static_cast<uint32_t>(offset + i * sizeof(T));
      Store(type, values[i], operands + cuda::SwizzledOffset<kRowBytes>(byte), 0);
    }
  };
  put(a, 0);
  put(b, args.b_offset);
  args.operands = operands;
  std::vector<float> d(2 * 64 * kColumns);
  args.d = d.data();
  for (int first_row : {0, 1, 3, 16}) {
    for (args.first_byte = 0; args.first_byte < kRowBytes; args.first_byte += 32) {
      args.first_row = first_row;
      std::fill(d.begin(), d.end(), NAN);
      RunKernel<ProductArgs, MultiplyOnce<T, kRowBytes, kColumns>>(args);
      for (int i = 0; i < 2 * 64 * kColumns; ++i) {
        const int row = i / kColumns % 64, column = i % kColumns;
        double expected = column / 8 * 4 + row / 8 % 2 * 2 + column % 2;  // as it began
        for (int k = 0; k < kDepth; ++k) {
          const int at = args.first_byte / static_cast<int>(sizeof(T)) + k;
          expected += a[(first_row + row) * kRow + at] * b[column * kRow + at];
        }
        ASSERT_EQ(d[i], expected) << "row " << row << ", column " << column;
      }
    }
  }
}

// x [units][64], of which 16 from first_row on are the depth, and dz likewise: two parts of 16,
// apart.
template <class T>
void MultiplyTransposed(const ProductArgs& args) {
  constexpr int kColumns = 192, kUnit = 128;
  const Area area = SharedArea();
  InitializeBarriers(area, 1);
  if (cuda::ThreadIndex() == 0) {
    cuda::ArriveExpecting(&area.barrier[0], args.bytes);
    cuda::LoadBulk(area.data, args.operands, args.bytes, &area.barrier[0]);
  }
  cuda::WaitPhase(&area.barrier[0], 0);
  float d[1][kColumns / 2] = {};
  cuda::BeginProducts(d);
  const cuda::Operand a = cuda::ColumnsOperand(area.data + args.first_row * kUnit);
  const cuda::Operand b = cuda::ColumnsOperand(area.data + args.b_offset, args.b_distance);
  cuda::MultiplyAddTransposedAsync<kColumns>(T(), a, b, d[0]);
  cuda::CommitProducts();
  cuda::WaitForProducts<0>(d);
  StoreSums<kColumns>(d[0], args.d);
}

template <class T>
void CheckTransposedProduct(DataType type) {
  constexpr int kSide = 64, kDepth = 16, kRows = 32, kColumns = 3 * kSide;
  Random random("transposed");
  const std::vector<double> a = random.Integers(kRows * kSide, -8, 8);
  const std::vector<double> b = random.Integers(3 * kRows * kSide, -8, 8);
  alignas(16) static uint8_t operands[kSharedBytes];
  ProductArgs args = {};
  args.operands = operands;
  args.b_offset = kRows * 128;
  args.b_distance = kRows * 128;
  args.bytes = 4 * kRows * 128;
  for (int i = 0; i < 4 * kRows * kSide; ++i) {
    const double value = i < kRows * kSide ? a[i] : b[i - kRows * kSide];
    Store(type, value, operands + cuda::SwizzledOffset<128>(2 * i), 0);
  }
  std::vector<float> d(2 * 64 * kColumns);
  args.d = d.data();
  for (const int first_row : {0, 1, 7, 16}) {
    args.first_row = first_row;
    std::fill(d.begin(), d.end(), NAN);
    RunKernel<ProductArgs, MultiplyTransposed<T>>(args);
    for (int i = 0; i < 2 * 64 * kColumns; ++i) {
      const int row = i / kColumns % 64, column = i % kColumns;
      double expected = 0;
      for (int k = 0; k < kDepth; ++k) {
        expected += a[(first_row + k) * kSide + row] *
                    b[(column / kSide * kRows + k) * kSide + column % kSide];
      }
      ASSERT_EQ(d[i], expected) << "row " << row << ", column " << column;
    }
  }
}

// What the products' registers hold while they are under way, and afterwards.
void ReadSumsEarly(const ProductArgs& args) {
  const Area area = SharedArea();
  InitializeBarriers(area, 1);
  for (int i = 16 * cuda::ThreadIndex(); i < 96 * 64; i += 16 * kWarpgroup) {
    cuda::Store<16>(area.data + i, {});
  }
  cuda::FenceBulkCopies();
  cuda::SyncThreads();
  float d[1][48] = {};
  cuda::BeginProducts(d);
  const cuda::Operand rows = cuda::RowsOperand<64>(area.data);
  cuda::MultiplyAddAsync<96>(BFloat16(), rows, rows, d[0]);
  cuda::CommitProducts();
  if (cuda::ThreadIndex() == 0) args.d[0] = d[0][0];
  cuda::WaitForProducts<0>(d);
  if (cuda::ThreadIndex() == 0) args.d[1] = d[0][0];
}

TEST(CudaWarpgroupTest, SumsAreUndefinedUntilProductsAreDone) {
  float sums[] = {5, 5};
  ProductArgs args = {};
  args.d = sums;
  RunKernel<ProductArgs, ReadSumsEarly>(args);
  EXPECT_TRUE(std::isnan(sums[0]));
  EXPECT_EQ(sums[1], 0);
}

// Parts of a transposed operand begin alike in the permutation of rows, and with whole rows.
void MultiplyPartsApart(const ProductArgs& args) {
  const Area area = SharedArea();
  InitializeBarriers(area, 1);
  float d[1][96] = {};
  cuda::BeginProducts(d);
  const cuda::Operand a = cuda::ColumnsOperand(area.data) + args.first_byte;
  const cuda::Operand b = cuda::ColumnsOperand(area.data + 4096, args.b_distance);
  cuda::MultiplyAddTransposedAsync<192>(BFloat16(), a, b, d[0]);
}

TEST(CudaWarpgroupDeathTest, NoticesPartsOfTransposedOperands) {
  ProductArgs args = {};
  args.b_distance = 4096 + 128;
  EXPECT_DEATH((RunKernel<ProductArgs, MultiplyPartsApart>(args)), "permuted differently");
  args.b_distance = 4096 + 8;
  EXPECT_DEATH((RunKernel<ProductArgs, MultiplyPartsApart>(args)), "no such distance");
  args.b_distance = 4096;
  args.first_byte = 16;
  EXPECT_DEATH((RunKernel<ProductArgs, MultiplyPartsApart>(args)), "whole rows");
}

TEST(CudaWarpgroupTest, TransposedProducts) {
  CheckTransposedProduct<BFloat16>(DataType::kBFloat16);
  CheckTransposedProduct<Float16>(DataType::kFloat16);
}

TEST(CudaWarpgroupTest, ProductsOfShiftedRows) {
  CheckProduct<BFloat16, 64, 96>(DataType::kBFloat16);
  CheckProduct<BFloat16, 128, 192>(DataType::kBFloat16);
  CheckProduct<Float16, 128, 96>(DataType::kFloat16);
  CheckProduct<float, 128, 96>(DataType::kFloat32);
}

}  // namespace
}  // namespace fastconv::testing
