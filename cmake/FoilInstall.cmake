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
set_target_properties(foil_program foil_conformance PROPERTIES INSTALL_RPATH "$ORIGIN/../lib;${FOIL_LIBTORCH}/lib")
set_target_properties(foil PROPERTIES INSTALL_RPATH "${FOIL_LIBTORCH}/lib")
set_target_properties(foil_python PROPERTIES INSTALL_RPATH "$ORIGIN;${FOIL_LIBTORCH}/lib")
set_target_properties(${_plugins} PROPERTIES INSTALL_RPATH "$ORIGIN/../..;${FOIL_LIBTORCH}/lib")

configure_file(cmake/foilConfig.cmake.in ${CMAKE_BINARY_DIR}/package/foilConfig.cmake @ONLY)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/package/foilConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/package/foilConfig.cmake ${CMAKE_BINARY_DIR}/package/foilConfigVersion.cmake cmake/FoilTorch.cmake
  plugins/cmake/FoilPlugin.cmake plugins/cmake/FoilAbout.cmake plugins/cmake/plugin.map DESTINATION lib/cmake/foil)
add_custom_target(foil_sdk DEPENDS foil_program foil_conformance foil_plugins foil_python)  # all that is installed
