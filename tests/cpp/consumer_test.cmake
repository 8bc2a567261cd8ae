# Installs the build, then configures, builds and runs a project that finds the installed package.
#   cmake -DBUILD=... -DSOURCE=... -DWORK=... [-DPREFIX_PATH=...] [-DRUN=...] -P consumer_test.cmake
# RUN is the program to start, with its arguments.

function(step)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE status OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT status EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "${command}\n${text}")
  endif()
endfunction()

file(REMOVE_RECURSE "${WORK}")
step(${CMAKE_COMMAND} --install "${BUILD}" --prefix "${WORK}/prefix")
step(${CMAKE_COMMAND} -S "${SOURCE}" -B "${WORK}/build" -DCMAKE_BUILD_TYPE=Release
     "-DCMAKE_PREFIX_PATH=${WORK}/prefix\;${PREFIX_PATH}")
step(${CMAKE_COMMAND} --build "${WORK}/build")
list(POP_FRONT RUN program)
step("${WORK}/build/${program}" ${RUN})
