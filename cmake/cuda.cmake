# FASTCONV_CUDA: whether the CUDA kernels are built.
#
#   on    they are; an error without nvcc 12.0 or newer
#   auto  they are where such an nvcc is found, but not with FASTCONV_CORE_ONLY
#   off   they are not
#
# FASTCONV_WITH_CUDA says what came of it. The runtime is linked statically and finds the driver when
# a kernel is first started, so that one build serves machines with and without a GPU.

set(FASTCONV_CUDA_MINIMUM 12.0)
# Machine code for Ampere, Ada and Hopper, and PTX that the driver translates for later ones: that of
# 90, as code for 90a runs on Hopper alone.
set(FASTCONV_CUDA_ARCHITECTURES 80-real 86-real 89-real 90a-real 90-virtual
    CACHE STRING "GPU architectures, as in CMAKE_CUDA_ARCHITECTURES")

string(TOLOWER "${FASTCONV_CUDA}" FASTCONV_CUDA)
if(NOT FASTCONV_CUDA MATCHES "^(auto|on|off)$")
  message(FATAL_ERROR "FASTCONV_CUDA must be auto, on or off. Received: ${FASTCONV_CUDA}")
endif()

set(FASTCONV_WITH_CUDA OFF)
set(reason "FASTCONV_CUDA=${FASTCONV_CUDA}")
if(FASTCONV_CUDA STREQUAL "on" OR (FASTCONV_CUDA STREQUAL "auto" AND NOT FASTCONV_CORE_ONLY))
  set(CMAKE_CUDA_ARCHITECTURES ${FASTCONV_CUDA_ARCHITECTURES})
  set(CMAKE_CUDA_STANDARD 17)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_EXTENSIONS OFF)
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
  include(CheckLanguage)
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    set(reason "no nvcc that works was found")
  else()
    enable_language(CUDA)
    if(NOT CMAKE_CUDA_COMPILER_ID STREQUAL "NVIDIA"
       OR CMAKE_CUDA_COMPILER_VERSION VERSION_LESS FASTCONV_CUDA_MINIMUM)
      set(reason "needs nvcc ${FASTCONV_CUDA_MINIMUM} or newer; ${CMAKE_CUDA_COMPILER} is \
${CMAKE_CUDA_COMPILER_ID} ${CMAKE_CUDA_COMPILER_VERSION}")
    else()
      set(FASTCONV_WITH_CUDA ON)
    endif()
  endif()
endif()

if(FASTCONV_WITH_CUDA)
  string(REPLACE ";" " " architectures "${FASTCONV_CUDA_ARCHITECTURES}")
  message(STATUS "fastconv: with CUDA kernels (nvcc ${CMAKE_CUDA_COMPILER_VERSION}, "
                 "${architectures})")
elseif(FASTCONV_CUDA STREQUAL "on")
  message(FATAL_ERROR "FASTCONV_CUDA=on: ${reason}. Install NVIDIA's CUDA toolkit and name its \
compiler in the environment variable CUDACXX, or build with FASTCONV_CUDA=off.")
else()
  message(STATUS "fastconv: without CUDA kernels (${reason})")
endif()
