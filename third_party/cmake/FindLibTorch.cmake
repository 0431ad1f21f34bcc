# LibTorch, from a torch wheel, a LibTorch archive or an installation.
#
# Search:  CMAKE_PREFIX_PATH or LIBTORCH (variable or environment): the folder that holds `include/` and `lib/`.
# Targets: LibTorch::cpu   libtorch_cpu and libc10, all that a CPU program needs
#          LibTorch::cuda  the above, libtorch_cuda and libc10_cuda
# Sets:    LibTorch_VERSION, LibTorch_LIBRARY_DIR
#
# torch's own TorchConfig.cmake is not used: it asks for a CUDA toolkit even for a CPU program, ignores
# CMAKE_CUDA_ARCHITECTURES and leaves dead entries in the RPATH.

find_path(LibTorch_INCLUDE_DIR ATen/core/Tensor.h
  HINTS ${LIBTORCH} ENV LIBTORCH PATH_SUFFIXES include)
if(LibTorch_INCLUDE_DIR)
  cmake_path(GET LibTorch_INCLUDE_DIR PARENT_PATH LibTorch_ROOT)
endif()
foreach(name c10 torch_cpu c10_cuda torch_cuda)
  find_library(LibTorch_${name}_LIBRARY ${name} HINTS ${LibTorch_ROOT}/lib NO_DEFAULT_PATH)
endforeach()

if(LibTorch_INCLUDE_DIR AND EXISTS ${LibTorch_INCLUDE_DIR}/torch/csrc/api/include/torch/version.h)
  file(STRINGS ${LibTorch_INCLUDE_DIR}/torch/csrc/api/include/torch/version.h _version
    REGEX "define TORCH_VERSION \"")
  string(REGEX REPLACE ".*\"([^\"]+)\".*" "\\1" LibTorch_VERSION "${_version}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_torch_cpu_LIBRARY LibTorch_c10_LIBRARY LibTorch_INCLUDE_DIR
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE
    "Run `bash tools/setup.sh` to fetch the pinned one, or pass -DCMAKE_PREFIX_PATH=<the folder with LibTorch's include and lib>.")

if(LibTorch_FOUND AND NOT TARGET LibTorch::cpu)
  cmake_path(GET LibTorch_torch_cpu_LIBRARY PARENT_PATH LibTorch_LIBRARY_DIR)
  # Kernels and operators register themselves when their library is loaded, so both are linked whole
  # even where no symbol of theirs is named.
  add_library(LibTorch::cpu INTERFACE IMPORTED)
  target_include_directories(LibTorch::cpu SYSTEM INTERFACE
    ${LibTorch_INCLUDE_DIR} ${LibTorch_INCLUDE_DIR}/torch/csrc/api/include)
  target_link_libraries(LibTorch::cpu INTERFACE
    -Wl,--push-state,--no-as-needed ${LibTorch_torch_cpu_LIBRARY} ${LibTorch_c10_LIBRARY} -Wl,--pop-state)

  if(LibTorch_torch_cuda_LIBRARY)
    add_library(LibTorch::cuda INTERFACE IMPORTED)
    target_link_libraries(LibTorch::cuda INTERFACE LibTorch::cpu
      -Wl,--push-state,--no-as-needed ${LibTorch_torch_cuda_LIBRARY} ${LibTorch_c10_cuda_LIBRARY} -Wl,--pop-state)
  endif()
endif()
mark_as_advanced(LibTorch_INCLUDE_DIR LibTorch_c10_LIBRARY LibTorch_torch_cpu_LIBRARY
  LibTorch_c10_cuda_LIBRARY LibTorch_torch_cuda_LIBRARY)
