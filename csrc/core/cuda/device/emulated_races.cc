#include "core/cuda/device/emulated_races.h"

#include <algorithm>

#include "core/cuda/device/device.h"

namespace fastconv::cuda::emulation {
namespace {

constexpr int kPieceBytes = 16, kWordBytes = 8;
constexpr uint32_t kUnderWay = UINT32_MAX;

}  // namespace

void RaceDetector::Start(int warps, int shared_bytes) {
  if (warps > kMaxWarps) Fail("more warps than races are watched of");
  clocks_.assign(warps, Clock{});
  for (int warp = 0; warp < warps; ++warp) clocks_[warp][warp] = 1;
  fences_.assign(warps, {});
  operations_.clear();
  Piece untouched;
  for (LastRead& read : untouched.reads) read.operation = -1;
  pieces_.assign((shared_bytes + kPieceBytes - 1) / kPieceBytes, untouched);
  reserved_.assign((shared_bytes + kWordBytes - 1) / kWordBytes, false);
}

void RaceDetector::Reserve(int at, int bytes) {
  for (int i = at / kWordBytes; i <= (at + bytes - 1) / kWordBytes; ++i) reserved_[i] = true;
}

void RaceDetector::CheckReserved(int at, int bytes) const {
  for (int i = at / kWordBytes; i <= (at + bytes - 1) / kWordBytes; ++i) {
    if (reserved_[i]) Fail("writes over a barrier");
  }
}

void RaceDetector::Release(int warp, Clock* clock) {
  Clock& mine = clocks_[warp];
  for (int i = 0; i < kMaxWarps; ++i) (*clock)[i] = std::max((*clock)[i], mine[i]);
  ++mine[warp];
}

void RaceDetector::Acquire(int warp, const Clock& clock) {
  Clock& mine = clocks_[warp];
  for (int i = 0; i < kMaxWarps; ++i) mine[i] = std::max(mine[i], clock[i]);
}

void RaceDetector::Meet(uint32_t warps) {
  Clock all{};
  const auto for_each = [&](const auto& body) {
    for (int warp = 0; warp < static_cast<int>(clocks_.size()); ++warp) {
      if ((warps >> warp & 1) != 0) body(warp);
    }
  };
  for_each([&](int warp) { Release(warp, &all); });
  for_each([&](int warp) { Acquire(warp, all); });
}

template <class Body>
void RaceDetector::ForPieces(int at, int bytes, const Body& body) {
  for (int i = at / kPieceBytes; i <= (at + bytes - 1) / kPieceBytes; ++i) body(&pieces_[i]);
}

void RaceDetector::Read(int warp, int at, int bytes) {
  ForPieces(at, bytes, [&](Piece* piece) {
    CheckWritten(warp, *piece, /*async=*/false);
    piece->reads[warp] = {Now(warp), -1};
  });
}

void RaceDetector::Write(int warp, int at, int bytes) {
  CheckReserved(at, bytes);
  ForPieces(at, bytes, [&](Piece* piece) {
    CheckWritten(warp, *piece, /*async=*/false);
    CheckReads(warp, *piece);
    piece->writing_operation = -1;
    piece->writer = warp;
    piece->written = Now(warp);
  });
}

void RaceDetector::Fence(int warp) { fences_[warp].push_back(clocks_[warp][warp]++); }

int RaceDetector::BeginReads(int warp) {
  operations_.push_back({warp, kUnderWay, {}});
  return static_cast<int>(operations_.size()) - 1;
}

void RaceDetector::ReadAsync(int operation, int at, int bytes) {
  const int warp = operations_[operation].warp;
  ForPieces(at, bytes, [&](Piece* piece) {
    CheckWritten(warp, *piece, /*async=*/true);
    piece->reads[warp] = {0, operation};
  });
}

void RaceDetector::EndReads(int operation) {
  operations_[operation].end = Now(operations_[operation].warp);
}

int RaceDetector::BeginWrites(int warp) { return BeginReads(warp); }

void RaceDetector::WriteAsync(int operation, int at, int bytes) {
  CheckReserved(at, bytes);
  const int warp = operations_[operation].warp;
  ForPieces(at, bytes, [&](Piece* piece) {
    CheckWritten(warp, *piece, /*async=*/true);
    CheckReads(warp, *piece);
    piece->writing_operation = operation;
  });
}

void RaceDetector::ObserveWrites(int operation, int warp) {
  uint32_t& observed = operations_[operation].observed[warp];
  if (observed == 0) observed = Now(warp);
}

// What is in the piece comes before the warp's access.
void RaceDetector::CheckWritten(int warp, const Piece& piece, bool async) const {
  if (piece.writing_operation >= 0) {
    const Clock& observed = operations_[piece.writing_operation].observed;
    for (int other = 0; other < kMaxWarps; ++other) {
      if (observed[other] != 0 && Knows(warp, other, observed[other])) return;
    }
    Fail("uses shared memory without having waited for the copy that writes it");
  }
  if (piece.writer < 0) return;
  if (piece.writer != warp && !Knows(warp, piece.writer, piece.written)) {
    Fail("uses shared memory that another warp writes, with no barrier between");
  }
  if (async && !IsFenced(warp, piece)) {
    Fail("asynchronous use of shared memory written without a fence");
  }
}

// The writer's first fence after its write comes before what the warp does now.
bool RaceDetector::IsFenced(int warp, const Piece& piece) const {
  const std::vector<uint32_t>& fences = fences_[piece.writer];
  const auto fence = std::lower_bound(fences.begin(), fences.end(), piece.written);
  return fence != fences.end() && (piece.writer == warp || Knows(warp, piece.writer, *fence));
}

void RaceDetector::CheckReads(int warp, const Piece& piece) const {
  for (int reader = 0; reader < static_cast<int>(clocks_.size()); ++reader) {
    const LastRead& read = piece.reads[reader];
    const uint32_t time = read.operation < 0 ? read.time : operations_[read.operation].end;
    if (time == kUnderWay) Fail("overwrites shared memory that is being read");
    if (reader != warp && !Knows(warp, reader, time)) {
      Fail("overwrites shared memory that a warp has not released");
    }
  }
}

}  // namespace fastconv::cuda::emulation
