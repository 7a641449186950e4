// Reference of the stages after a convolution or a batch normalisation: activation and pooling.
#ifndef FASTCONV_CORE_REFERENCE_EPILOGUE_H_
#define FASTCONV_CORE_REFERENCE_EPILOGUE_H_

#include <vector>

#include "core/problem.h"
#include "core/reference/max_pool.h"

namespace fastconv::reference {

struct EpilogueOutput {
  std::vector<double> map;     // activation(a), the size of a
  std::vector<double> y;       // the output of the block: the map, or pooled
  std::vector<PoolCode> code;  // empty without pooling
};

// a [batch, height, width, channels] -> the output of the block; the bias is the caller's affair.
EpilogueOutput EpilogueForward(const Epilogue& epilogue, int64_t batch, int64_t channels,
                               const std::vector<double>& a);

// dy -> the gradient at a. `sign_source` is only looked at without pooling: a, or y, whose signs
// agree as slopes are >= 0. `code` is only looked at with pooling.
std::vector<double> EpilogueBackward(const Epilogue& epilogue, int64_t batch, int64_t channels,
                                     const std::vector<double>& dy,
                                     const std::vector<double>& sign_source,
                                     const std::vector<PoolCode>& code);

// values [rows, channels] -> their sum over the rows (the gradient of a bias).
std::vector<double> ChannelSums(int64_t channels, const std::vector<double>& values);

// values [rows, channels] += bias [channels].
void AddToChannels(const std::vector<double>& bias, std::vector<double>* values);

}  // namespace fastconv::reference

#endif  // FASTCONV_CORE_REFERENCE_EPILOGUE_H_
