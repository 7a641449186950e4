# Checks the objects of the kernels of one instruction set: a symbol that the linker may share with the
# rest of the library (a weak function) must lie in the namespace of that instruction set. Anything
# else, such as an inline function of a header, might serve everyone in its AVX-512 form.
#
#   cmake -DNM=<nm> -DISA=<isa> "-DOBJECTS=<object>,<object>..." -P kernel_symbols_test.cmake

string(LENGTH ${ISA} length)
set(own_namespace "3cpu${length}${ISA}")
string(REPLACE "," ";" objects "${OBJECTS}")
set(own 0)
set(foreign)
foreach(object IN LISTS objects)
  execute_process(COMMAND ${NM} ${object} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[0-9a-f ]+ W [^\n]+" shared "${symbols}")
  foreach(symbol IN LISTS shared)
    if(symbol MATCHES "${own_namespace}")
      math(EXPR own "${own} + 1")
    else()
      list(APPEND foreign "${object}: ${symbol}")
    endif()
  endforeach()
endforeach()

if(foreign)
  list(JOIN foreign "\n" foreign)
  message(FATAL_ERROR "Symbols outside of namespace ${ISA}:\n${foreign}")
endif()
if(own EQUAL 0)
  message(FATAL_ERROR "No symbols found: the check looked at nothing. Received: ${OBJECTS}")
endif()
