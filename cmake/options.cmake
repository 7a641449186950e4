# What holds for every target of the build, and the options' checks.

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_compile_options(-Wall -Wextra)
# Libraries export their entry points only.
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 11)
  message(FATAL_ERROR "fastconv needs g++ 11 or newer. Received: ${CMAKE_CXX_COMPILER_VERSION}")
endif()

string(TOLOWER "${FASTCONV_CUDA}" FASTCONV_CUDA)
if(FASTCONV_CUDA STREQUAL "on")
  message(FATAL_ERROR "FASTCONV_CUDA=on: this version of fastconv has no CUDA kernels. "
                      "Build with FASTCONV_CUDA=auto or FASTCONV_CUDA=off.")
elseif(NOT FASTCONV_CUDA MATCHES "^(auto|off)$")
  message(FATAL_ERROR "FASTCONV_CUDA must be auto, on or off. Received: ${FASTCONV_CUDA}")
endif()
message(STATUS "fastconv: CPU build (FASTCONV_CUDA=${FASTCONV_CUDA}; "
               "this version has no CUDA kernels)")
