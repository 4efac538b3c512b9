# One precompiled header for everything (512 MB, so one only), position independent: what nearly every file of ours uses of LibTorch. Not
# torch/torch.h: GCC instantiates at the end of every file what a precompiled header left to instantiate, and of that it has twice as much.
# foil_settings carries the flags that must be equal wherever it is reused.
add_library(foil_settings INTERFACE)
target_link_libraries(foil_settings INTERFACE foil::torch)
target_include_directories(foil_settings BEFORE INTERFACE ${CMAKE_CURRENT_SOURCE_DIR}/cmake/lean)
target_compile_options(foil_settings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Werror;-Winvalid-pch;-fpch-preprocess>)

file(WRITE ${CMAKE_BINARY_DIR}/foil_pch.cpp "// Carries the precompiled header.\n")
add_library(foil_pch OBJECT ${CMAKE_BINARY_DIR}/foil_pch.cpp)
target_link_libraries(foil_pch PRIVATE foil_settings)
set(_headers <torch/types.h> <torch/utils.h> <torch/cuda.h> <torch/nn/module.h>)
target_precompile_headers(foil_pch PRIVATE ${_headers})

# ccache hashes this line instead of the 512 MB: what the precompiled header depends on, the same in every clone.
get_directory_property(_flags COMPILE_OPTIONS)
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/CMakeFiles/foil_pch.dir/cmake_pch.hxx.gch.sum CONTENT
"${_headers} | torch ${FOIL_TORCH_VERSION} at ${FOIL_LIBTORCH} | ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} | cuda ${FOIL_CUDA} | ${CMAKE_BUILD_TYPE} ${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_RELEASE} ${_flags}
" @ONLY)

# foil_own(TARGET): our own code: warnings are errors, the shared precompiled header.
function(foil_own target)
  target_link_libraries(${target} PRIVATE foil_settings)
  target_precompile_headers(${target} REUSE_FROM foil_pch)
  set_target_properties(${target} PROPERTIES DEFINE_SYMBOL "")
endfunction()
