# Instruction sets of the CPU kernels. Only kernel sources are compiled with these flags, once per
# instruction set; everything else stays at the compiler's baseline, so that one build runs anywhere.
#
#   FASTCONV_ISAS             the instruction sets of this build, narrow to wide, as in core/cpu_features.h
#   FASTCONV_ISA_FLAGS_<isa>  compiler flags of each

set(FASTCONV_ISAS baseline)
set(FASTCONV_ISA_FLAGS_baseline "")

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  list(APPEND FASTCONV_ISAS avx2 avx512)
  set(FASTCONV_ISA_FLAGS_avx2 -mavx2 -mfma -mf16c)
  set(FASTCONV_ISA_FLAGS_avx512 ${FASTCONV_ISA_FLAGS_avx2} -mavx512f -mavx512bw -mavx512dq
                                -mavx512vl -mprefer-vector-width=512)
endif()

# Compiles `sources` once per instruction set into `target`, with FASTCONV_ISA=<isa> defined.
function(fastconv_add_isa_sources target)
  foreach(isa IN LISTS FASTCONV_ISAS)
    set(objects ${target}_${isa})
    add_library(${objects} OBJECT ${ARGN})
    target_compile_definitions(${objects} PRIVATE FASTCONV_ISA=${isa})
    # a * b + c becomes a fused multiply-add where the instruction set has one. The ABI of vector
    # arguments, which GCC notes, stays inside these files. GCC 12 warns of its own AVX-512 header.
    target_compile_options(${objects} PRIVATE ${FASTCONV_ISA_FLAGS_${isa}} -ffp-contract=fast
                                              -Wno-psabi -Wno-maybe-uninitialized -Wno-uninitialized)
    target_include_directories(${objects} PRIVATE ${PROJECT_SOURCE_DIR}/csrc)
    set_target_properties(${objects} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${objects}>)
  endforeach()
endfunction()
