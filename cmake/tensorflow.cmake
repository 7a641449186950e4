# The TensorFlow of the Python that builds: its headers, libraries and C++ ABI, as an imported target
# `tensorflow`, and FASTCONV_TENSORFLOW_VERSION, FASTCONV_TENSORFLOW_INCLUDE_DIR,
# FASTCONV_TENSORFLOW_CXX11_ABI.

execute_process(
  COMMAND
    ${CMAKE_COMMAND} -E env TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES= ${Python_EXECUTABLE} -c
    "import tensorflow as tf; print(tf.__version__, tf.sysconfig.get_include(), \
tf.sysconfig.get_lib(), int(tf.sysconfig.CXX11_ABI_FLAG), \
' '.join(f for f in tf.sysconfig.get_compile_flags() if f.startswith('-D')), sep='|')"
  OUTPUT_VARIABLE answer
  ERROR_VARIABLE problem
  RESULT_VARIABLE status
  OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "TensorFlow cannot be imported by ${Python_EXECUTABLE}:\n${problem}")
endif()
string(REPLACE "|" ";" answer "${answer}")
list(GET answer 0 FASTCONV_TENSORFLOW_VERSION)
list(GET answer 1 FASTCONV_TENSORFLOW_INCLUDE_DIR)
list(GET answer 2 library_dir)
list(GET answer 3 FASTCONV_TENSORFLOW_CXX11_ABI)
list(GET answer 4 definitions)
separate_arguments(definitions)
message(STATUS "fastconv: TensorFlow ${FASTCONV_TENSORFLOW_VERSION} in ${library_dir}")
if(NOT FASTCONV_TENSORFLOW_VERSION MATCHES "^2\\.21\\.")
  message(FATAL_ERROR "fastconv needs TensorFlow 2.21. Received: ${FASTCONV_TENSORFLOW_VERSION}")
endif()

add_library(tensorflow INTERFACE IMPORTED)
target_include_directories(tensorflow SYSTEM INTERFACE ${FASTCONV_TENSORFLOW_INCLUDE_DIR})
target_compile_options(tensorflow INTERFACE ${definitions})
# Loaded into the process by `import tensorflow`, so that no path to them is needed at run time.
target_link_libraries(tensorflow INTERFACE ${library_dir}/libtensorflow_framework.so.2
                                           ${library_dir}/libtensorflow_cc.so.2)
