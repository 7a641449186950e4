// Notices when warps of an emulated block use shared memory without an order between them, whatever
// order they happen to run in: vector clocks, as in FastTrack (Flanagan and Freund, PLDI 2009).
// Asynchronous reads and writes are operations that a warp starts and that barriers or waits end.
#ifndef FASTCONV_CORE_CUDA_DEVICE_EMULATED_RACES_H_
#define FASTCONV_CORE_CUDA_DEVICE_EMULATED_RACES_H_

#include <array>
#include <cstdint>
#include <vector>

namespace fastconv::cuda::emulation {

class RaceDetector {
 public:
  static constexpr int kMaxWarps = 16;
  using Clock = std::array<uint32_t, kMaxWarps>;

  // Accesses to the shared memory are watched in pieces of 16 bytes.
  void Start(int warps, int shared_bytes);
  // Nobody may write there: barriers, of whose bits the emulation keeps none.
  void Reserve(int at, int bytes);

  // What a warp has done so far comes before what another does after it acquires `clock`.
  void Release(int warp, Clock* clock);
  void Acquire(int warp, const Clock& clock);
  // A barrier of the warps whose bits are set.
  void Meet(uint32_t warps);
  uint32_t Now(int warp) const { return clocks_[warp][warp]; }
  bool Knows(int warp, int other, uint32_t time) const { return clocks_[warp][other] >= time; }

  void Read(int warp, int at, int bytes);
  void Write(int warp, int at, int bytes);
  // Makes the warp's writes known to asynchronous operations that come after it: the warp's own,
  // and those of warps that know of the fence.
  void Fence(int warp);

  // Operations that read: from Begin to End.
  int BeginReads(int warp);
  void ReadAsync(int operation, int at, int bytes);
  void EndReads(int operation);
  // One that writes; who has observed its end may use what it wrote.
  int BeginWrites(int warp);
  void WriteAsync(int operation, int at, int bytes);
  void ObserveWrites(int operation, int warp);

 private:
  struct Operation {
    int warp;
    uint32_t end;    // of reads: the warp's time
    Clock observed;  // of writes: the warps' times, 0: not
  };
  struct LastRead {
    uint32_t time;
    int operation;  // instead of the time, unless negative
  };
  struct Piece {
    int writing_operation = -1;
    int writer = -1;
    uint32_t written = 0;
    std::array<LastRead, kMaxWarps> reads{};
  };

  template <class Body>
  void ForPieces(int at, int bytes, const Body& body);
  void CheckReserved(int at, int bytes) const;
  bool IsFenced(int warp, const Piece& piece) const;
  void CheckWritten(int warp, const Piece& piece, bool async) const;
  void CheckReads(int warp, const Piece& piece) const;

  std::vector<Clock> clocks_;                  // of a warp: what it knows of each
  std::vector<std::vector<uint32_t>> fences_;  // of a warp: the times of its own
  std::vector<Operation> operations_;
  std::vector<Piece> pieces_;
  std::vector<bool> reserved_;  // of each kWordBytes
};

}  // namespace fastconv::cuda::emulation

#endif  // FASTCONV_CORE_CUDA_DEVICE_EMULATED_RACES_H_
