# What `cmake --install` puts where. The parts find each other by places relative to themselves, so the prefix may move; LibTorch stays
# where it is (FoilTorch.cmake links with its folder as RPATH).
#   bin/foil   bin/foil_conformance   lib/libfoil.so   lib/libfoil_torch.so   lib/foil/plugins/*.so   lib/cmake/foil/   include/foil/*.h   share/foil/template/
include(CMakePackageConfigHelpers)
install(TARGETS foil_program foil_conformance RUNTIME DESTINATION bin)
install(TARGETS foil foil_python LIBRARY DESTINATION lib)
install(TARGETS ${_plugins} LIBRARY DESTINATION lib/foil/plugins)  # where libfoil.so looks: plugins/loader.cpp
install(DIRECTORY core/include/foil plugins/include/foil DESTINATION include FILES_MATCHING PATTERN "*.h")
install(FILES ${CMAKE_BINARY_DIR}/generated/foil/abi.h DESTINATION include/foil)
install(DIRECTORY plugins/template DESTINATION share/foil)
# Where the loader looks for libraries. CMake's own way pads what it writes in the build tree with colons, up to the length of what it
# overwrites that with at install: empty entries, each of which means the current directory. So the linker writes what serves the build
# tree, long enough, and the installation shortens or replaces it. LibTorch's folder is there in both (FoilTorch.cmake).
function(_foil_runtime_path built installed folder)
  string(LENGTH "${installed}" wanted)
  string(LENGTH "${built}" length)
  while(length LESS wanted)
    string(APPEND built "/.")
    string(LENGTH "${built}" length)
  endwhile()
  set_target_properties(${ARGN} PROPERTIES BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "${built}")
  foreach(target ${ARGN})
    install(CODE "file(RPATH_CHANGE FILE \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${folder}/$<TARGET_FILE_NAME:${target}>\" OLD_RPATH [=[${built}]=] NEW_RPATH [=[${installed}]=])")
  endforeach()
endfunction()
_foil_runtime_path("$ORIGIN" "$ORIGIN/../lib" bin foil_program foil_conformance)
_foil_runtime_path("$ORIGIN/.." "$ORIGIN/../.." lib/foil/plugins ${_plugins})
set_target_properties(foil PROPERTIES BUILD_WITH_INSTALL_RPATH ON)
set_target_properties(foil_python PROPERTIES BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "$ORIGIN")

configure_file(cmake/foilConfig.cmake.in ${CMAKE_BINARY_DIR}/package/foilConfig.cmake @ONLY)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/package/foilConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/package/foilConfig.cmake ${CMAKE_BINARY_DIR}/package/foilConfigVersion.cmake cmake/FoilTorch.cmake
  plugins/cmake/FoilPlugin.cmake plugins/cmake/FoilAbout.cmake plugins/cmake/plugin.map DESTINATION lib/cmake/foil)
add_custom_target(foil_sdk DEPENDS foil_program foil_conformance foil_plugins foil_python)  # all that is installed
