# The Python that builds, its headers, and TensorFlow. Where the system has no headers (Debian keeps
# them in python3-dev), TensorFlow's package has those of the same Python version.

find_package(Python REQUIRED COMPONENTS Interpreter)
include(tensorflow)
find_package(Python QUIET COMPONENTS Interpreter Development.Module)
if(NOT TARGET Python::Module)
  set(Python_INCLUDE_DIR
      ${FASTCONV_TENSORFLOW_INCLUDE_DIR}/external/local_config_python/python_include)
  message(STATUS "fastconv: this Python has no headers; taking TensorFlow's copy of them")
  find_package(Python REQUIRED COMPONENTS Interpreter Development.Module)
endif()
find_package(pybind11 CONFIG REQUIRED)
