# What `cmake --install` puts where: bin/foil, lib/libfoil.so, lib/foil/plugins/*.so, include/foil/*.h. The parts find each other by
# places relative to themselves, so the prefix may move; LibTorch stays where it is (FoilTorch.cmake links with its folder as RPATH).
set(FOIL_INSTALL_PLUGINS lib/foil/plugins)  # where the program looks: plugins/loader.cpp
install(TARGETS foil_program RUNTIME DESTINATION bin)
install(TARGETS foil LIBRARY DESTINATION lib)
install(TARGETS ${_plugins} LIBRARY DESTINATION ${FOIL_INSTALL_PLUGINS})
install(DIRECTORY core/include/foil plugins/include/foil DESTINATION include FILES_MATCHING PATTERN "*.h")
install(FILES ${CMAKE_BINARY_DIR}/generated/foil/abi.h DESTINATION include/foil)
set_target_properties(foil_program PROPERTIES INSTALL_RPATH "$ORIGIN/../lib;${FOIL_LIBTORCH}/lib")
set_target_properties(foil PROPERTIES INSTALL_RPATH "${FOIL_LIBTORCH}/lib")
set_target_properties(${_plugins} PROPERTIES INSTALL_RPATH "$ORIGIN/../..;${FOIL_LIBTORCH}/lib")
