# How everything here is compiled: language level, warnings, sanitizers, launchers, output folders.

set(TIDEMARK_WARNINGS
    -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align
    # Every field has a default; naming some of them is what designated initializers are for.
    -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  list(APPEND TIDEMARK_WARNINGS -Wno-restrict)  # false alarms on std::string (gcc bug 105651)
endif()

# ccache serves files that use a precompiled header only when told that this is safe. Paths are
# hashed relative to the checkout, so that a fresh clone finds what another one compiled.
if(PROJECT_IS_TOP_LEVEL AND "${CMAKE_CXX_COMPILER_LAUNCHER}" MATCHES "^$|^([^;]*/)?ccache$")
  find_program(TIDEMARK_CCACHE ccache)
  if(TIDEMARK_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
        CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
        CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
        ${TIDEMARK_CCACHE})
  endif()
endif()

# Sets `out` to the .cc files that lie directly in the given folders.
function(tidemark_glob out)
  set(patterns)
  foreach(folder IN LISTS ARGN)
    list(APPEND patterns "${PROJECT_SOURCE_DIR}/${folder}/*.cc")
  endforeach()
  file(GLOB found CONFIGURE_DEPENDS ${patterns})
  set(${out} ${found} PARENT_SCOPE)
endfunction()

# Turns TIDEMARK_SANITIZERS into one -fsanitize= flag.
function(tidemark_sanitize target)
  if(NOT TIDEMARK_SANITIZERS)
    return()
  endif()
  set(kinds ${TIDEMARK_SANITIZERS})
  list(TRANSFORM kinds REPLACE "^asan$" "address")
  list(TRANSFORM kinds REPLACE "^ubsan$" "undefined")
  list(TRANSFORM kinds REPLACE "^tsan$" "thread")
  list(TRANSFORM kinds REPLACE "^fuzzer$" "fuzzer-no-link")  # its main comes with the fuzz targets
  list(JOIN kinds "," joined)
  target_compile_options(${target} PRIVATE -fsanitize=${joined} -fno-omit-frame-pointer
                                           -fno-sanitize-recover=all)
  target_link_options(${target} PRIVATE -fsanitize=${joined})
endfunction()

# What every target of this project has in common.
function(tidemark_target target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_compile_options(${target} PRIVATE ${TIDEMARK_WARNINGS})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE $<$<BOOL:$<TARGET_PROPERTY:${target},PRECOMPILE_HEADERS>>:-fpch-preprocess>)
  endif()
  if(TIDEMARK_WARNINGS_AS_ERRORS)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(TIDEMARK_CLANG_TIDY)
    find_program(TIDEMARK_CLANG_TIDY_PROGRAM NAMES clang-tidy REQUIRED)
    set_target_properties(${target} PROPERTIES CXX_CLANG_TIDY "${TIDEMARK_CLANG_TIDY_PROGRAM}")
  endif()
  set_target_properties(${target} PROPERTIES
    CXX_EXTENSIONS OFF
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON
    POSITION_INDEPENDENT_CODE ON)
  tidemark_sanitize(${target})
endfunction()

# For what runs once per op of torch's, whose own code empties the instruction cache in between:
# calls within the library are inlined across files, and those out of it go without a stub. Of the
# lines of code that Tidemark adds to an LSTMCell's step it takes a tenth.
function(tidemark_lean_calls target)
  include(CheckIPOSupported)
  check_ipo_supported(RESULT is_supported LANGUAGES CXX)
  if(is_supported AND NOT TIDEMARK_SANITIZERS)
    set_target_properties(${target} PROPERTIES
      INTERPROCEDURAL_OPTIMIZATION_RELEASE ON
      INTERPROCEDURAL_OPTIMIZATION_RELWITHDEBINFO ON)
  endif()
  target_compile_options(${target} PRIVATE -fno-plt)
endfunction()

# A library that is installed and exported as tidemark::<component>.
function(tidemark_library target component)
  tidemark_target(${target})
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/csrc> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  if(NOT TIDEMARK_SANITIZERS)  # clang's sanitizers are in the program, for libraries to find there
    target_link_options(${target} PRIVATE -Wl,--no-undefined)
  endif()
  set_target_properties(${target} PROPERTIES
    EXPORT_NAME ${component}
    LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib"
    INSTALL_RPATH "${TIDEMARK_INSTALL_RPATH}")
  if(NOT SKBUILD)  # wheels hold no symbolic links, so the library has one name there
    set_target_properties(${target} PROPERTIES
      VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  endif()
endfunction()
