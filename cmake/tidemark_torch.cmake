# LibTorch, from the pip wheel of the chosen Python or from a LibTorch folder in CMAKE_PREFIX_PATH.
#
# Two imported targets: tidemark_libtorch (no Python) and tidemark_libtorch_python. They name the
# headers and libraries directly. find_package(Torch) is left to users of the installed package: it
# adds folders of Intel's MKL to every RPATH, warns about a library that wheels do not have, and
# refuses CUDA wheels on machines without a CUDA toolkit, which nothing here needs.

set(torch_hints ${Torch_DIR})
if(Python3_EXECUTABLE)
  # find_spec instead of import: importing torch takes seconds.
  execute_process(
    COMMAND "${Python3_EXECUTABLE}" -c
            "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"
    OUTPUT_VARIABLE torch_folder OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  list(PREPEND torch_hints "${torch_folder}")
endif()

find_path(TIDEMARK_TORCH_INCLUDE_DIR torch/headeronly/version.h
  HINTS ${torch_hints} PATH_SUFFIXES include ../../../include)
if(NOT TIDEMARK_TORCH_INCLUDE_DIR)
  message(FATAL_ERROR
    "tidemark: found no torch 2.11 or newer. Either pip install torch==2.13.0 for "
    "${Python3_EXECUTABLE}, or add a LibTorch folder to CMAKE_PREFIX_PATH, or build the "
    "planning half alone with -DTIDEMARK_BUILD_TORCH=OFF.")
endif()
get_filename_component(TIDEMARK_TORCH_LIB_DIR "${TIDEMARK_TORCH_INCLUDE_DIR}/../lib" ABSOLUTE)

set(TIDEMARK_TORCH_VERSION)
foreach(part IN ITEMS MAJOR MINOR PATCH)
  file(STRINGS "${TIDEMARK_TORCH_INCLUDE_DIR}/torch/headeronly/version.h" line
       REGEX "define TORCH_VERSION_${part} ")
  string(REGEX MATCH "[0-9]+$" number "${line}")
  list(APPEND TIDEMARK_TORCH_VERSION ${number})
endforeach()
list(JOIN TIDEMARK_TORCH_VERSION "." TIDEMARK_TORCH_VERSION)
message(STATUS "tidemark: torch ${TIDEMARK_TORCH_VERSION} in ${TIDEMARK_TORCH_LIB_DIR}")

set(torch_libraries)
foreach(name IN ITEMS torch torch_cpu torch_cuda c10 c10_cuda)
  if(EXISTS "${TIDEMARK_TORCH_LIB_DIR}/lib${name}.so")
    list(APPEND torch_libraries "${TIDEMARK_TORCH_LIB_DIR}/lib${name}.so")
  endif()
endforeach()

add_library(tidemark_libtorch INTERFACE IMPORTED GLOBAL)
target_include_directories(tidemark_libtorch SYSTEM INTERFACE
  "${TIDEMARK_TORCH_INCLUDE_DIR}" "${TIDEMARK_TORCH_INCLUDE_DIR}/torch/csrc/api/include")
# libtorch registers its kernels when it is loaded, so it must stay even if no symbol is used.
target_link_libraries(tidemark_libtorch INTERFACE
  -Wl,--push-state,--no-as-needed ${torch_libraries} -Wl,--pop-state)

add_library(tidemark_libtorch_python INTERFACE IMPORTED GLOBAL)
target_link_libraries(tidemark_libtorch_python INTERFACE
  tidemark_libtorch "${TIDEMARK_TORCH_LIB_DIR}/libtorch_python.so")

# Installed libraries find torch where it was; in a wheel, in the folder beside them.
if(SKBUILD)
  list(APPEND TIDEMARK_INSTALL_RPATH "$ORIGIN/../torch/lib")
else()
  list(APPEND TIDEMARK_INSTALL_RPATH "${TIDEMARK_TORCH_LIB_DIR}")
endif()
