# Installing, and find_package(tidemark COMPONENTS core torch) afterwards.

if(SKBUILD)  # a wheel: libraries beside the modules, nothing else
  foreach(target IN ITEMS tidemark_core tidemark_torch tidemark_python_core tidemark_python_torch)
    if(TARGET ${target})
      install(TARGETS ${target} LIBRARY DESTINATION tidemark)
    endif()
  endforeach()
  return()
endif()

include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/tidemark")

# One export file per component, so that the core is found where there is no torch.
foreach(component IN ITEMS core torch)
  if(TARGET tidemark_${component})
    install(TARGETS tidemark_${component} EXPORT tidemark_${component}
            LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
    install(EXPORT tidemark_${component} NAMESPACE tidemark:: DESTINATION ${package_dir}
            FILE tidemark_${component}.cmake)
  endif()
endforeach()

install(DIRECTORY csrc/tidemark DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h" PATTERN "*_impl.h" EXCLUDE)

configure_package_config_file(cmake/tidemark-config.cmake.in tidemark-config.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(tidemark-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/tidemark-config.cmake"
              "${CMAKE_CURRENT_BINARY_DIR}/tidemark-config-version.cmake"
        DESTINATION ${package_dir})
