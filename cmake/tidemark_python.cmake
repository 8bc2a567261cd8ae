# The Python interpreter: it says where torch lies, and the modules are built for it.

# The project's own environment comes before whatever else is called python3.
if(NOT Python3_EXECUTABLE AND NOT DEFINED ENV{VIRTUAL_ENV} AND PROJECT_IS_TOP_LEVEL
   AND EXISTS "${PROJECT_SOURCE_DIR}/.venv/bin/python")
  set(Python3_EXECUTABLE "${PROJECT_SOURCE_DIR}/.venv/bin/python")
endif()
set(Python3_FIND_VIRTUALENV FIRST)

if(TIDEMARK_BUILD_PYTHON)
  find_package(Python3 3.10 REQUIRED COMPONENTS Interpreter Development.Module)
  execute_process(
    COMMAND "${Python3_EXECUTABLE}" -m pybind11 --cmakedir
    OUTPUT_VARIABLE pybind11_from_pip OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  find_package(pybind11 CONFIG REQUIRED HINTS "${pybind11_from_pip}")
else()
  find_package(Python3 3.10 QUIET COMPONENTS Interpreter)
endif()

# A plain build puts the modules beside their Python files, so that PYTHONPATH=python is enough.
set(TIDEMARK_PYTHON_DIR "${PROJECT_SOURCE_DIR}/python/tidemark"
    CACHE PATH "Where a development build puts _core and _torch")

# tidemark_python_module(<_name> <source>...): the module tidemark._name, target tidemark_python_name
function(tidemark_python_module module)
  set(target tidemark_python${module})
  Python3_add_library(${target} MODULE WITH_SOABI ${ARGN})
  tidemark_target(${target})
  set_target_properties(${target} PROPERTIES
    OUTPUT_NAME ${module} INSTALL_RPATH "${TIDEMARK_INSTALL_RPATH}")
  if(NOT SKBUILD)
    set_target_properties(${target} PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${TIDEMARK_PYTHON_DIR}")
  endif()
endfunction()
