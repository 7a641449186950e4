// Batch statistics, and the backward passes of batch normalisation.
#ifndef FASTCONV_CORE_CPU_KERNELS_BATCH_NORM_H_
#define FASTCONV_CORE_CPU_KERNELS_BATCH_NORM_H_

#include "core/cpu/kernels/kernels.h"
#include "core/cpu/kernels/pointwise.h"
#include "core/cpu/kernels/simd.h"

namespace fastconv::cpu::FASTCONV_ISA {

// Corrected two-pass algorithm (Chan, Golub, LeVeque 1983): the second pass also sums the
// deviations, whose exact value would be 0, and takes out what rounding left in the mean.
template <class T, class Acc>
void Statistics(const StatisticsArgs& args) {
  const Acc count = static_cast<Acc>(args.rows * args.cols);
  ForEachVector<Acc>(args.channels, [&](int64_t channel, int64_t lanes) {
    const auto for_each_pixel = [&](const auto& body) __attribute__((always_inline)) {
      for (int64_t row = 0; row < args.rows; ++row) {
        const T* z = static_cast<const T*>(args.z) + row * args.row_stride + channel;
        for (int64_t col = 0; col < args.cols; ++col, z += args.pixel_stride) {
          body(LoadFirst(z, lanes));
        }
      }
    };
    Vec<Acc> sum = {};
    for_each_pixel([&](Vec<Acc> z) __attribute__((always_inline)) { sum += z; });
    const Vec<Acc> mean = sum / count;
    Vec<Acc> deviations = {}, squares = {};
    for_each_pixel([&](Vec<Acc> z) __attribute__((always_inline)) {
      const Vec<Acc> deviation = z - mean;
      deviations += deviation;
      squares += deviation * deviation;
    });
    const Vec<Acc> correction = deviations / count;
    Store(static_cast<Acc*>(args.mean) + channel, mean + correction);
    Store(static_cast<Acc*>(args.sum_squared_deviations) + channel,
          squares - deviations * correction);
  });
}

template <class T, class Acc>
void BatchNormGradSums(const BatchNormGradArgs& args) {
  WithStage<Acc>(args.stage, [&](const auto& stage) {
    ForEachVector<Acc>(args.channels, [&](int64_t channel, int64_t lanes) {
      const Vec<Acc> mean = LoadParameter<Acc>(args.stage.mean, channel);
      Vec<Acc> sum_da = {}, sum_da_deviation = {};
      for (int64_t row = 0; row < args.rows; ++row) {
        const T* z = static_cast<const T*>(args.z) + row * args.z_row_stride + channel;
        const Acc* da = static_cast<const Acc*>(args.da) + row * args.da_row_stride + channel;
        for (int64_t col = 0; col < args.cols; ++col) {
          const Vec<Acc> value = LoadFirst(z, lanes);
          Vec<Acc> gradient = LoadFirst(da, lanes);
          if (args.differentiate_activation) gradient = stage.Gradient(value, gradient, channel);
          sum_da += gradient;
          sum_da_deviation += gradient * (value - mean);
          z += args.z_pixel_stride;
          da += args.da_pixel_stride;
        }
      }
      Acc* to_da = static_cast<Acc*>(args.sum_da) + channel;
      Acc* to_da_xhat = static_cast<Acc*>(args.sum_da_xhat) + channel;
      Store(to_da, Load(to_da) + sum_da);
      Store(to_da_xhat, Load(to_da_xhat) +
                            sum_da_deviation * LoadParameter<Acc>(args.inverse_deviation, channel));
    });
  });
}

template <class T, class Acc>
void BatchNormGradApply(const BatchNormGradArgs& args) {
  WithStage<Acc>(args.stage, [&](const auto& stage) {
    for (int64_t row = 0; row < args.rows; ++row) {
      const int64_t z_row = row * args.z_row_stride;
      const Acc* da = static_cast<const Acc*>(args.da) + row * args.da_row_stride;
      for (int64_t col = 0; col < args.cols; ++col, da += args.da_pixel_stride) {
        const T* z = static_cast<const T*>(args.z) + z_row + col * args.z_pixel_stride;
        T* dz = static_cast<T*>(args.dz) + z_row + col * args.z_pixel_stride;
        ForEachVector<Acc>(args.channels, [&](int64_t channel, int64_t lanes) {
          const auto parameter = [channel](const void* vector) __attribute__((always_inline)) {
            return LoadParameter<Acc>(vector, channel);
          };
          const Vec<Acc> value = LoadFirst(z + channel, lanes);
          Vec<Acc> gradient = LoadFirst(da + channel, lanes);
          if (args.differentiate_activation) gradient = stage.Gradient(value, gradient, channel);
          const Vec<Acc> xhat =
              (value - parameter(args.stage.mean)) * parameter(args.inverse_deviation);
          gradient -= parameter(args.sum_da) + xhat * parameter(args.sum_da_xhat);
          StoreFirst(dz + channel, gradient * parameter(args.stage.scale), lanes);
        });
      }
    }
  });
}

}  // namespace fastconv::cpu::FASTCONV_ISA

#endif  // FASTCONV_CORE_CPU_KERNELS_BATCH_NORM_H_
