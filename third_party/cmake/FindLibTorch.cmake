# LibTorch, from a torch wheel, a LibTorch archive or an installation.
#
# Search:  CMAKE_PREFIX_PATH, the folder that holds `include/` and `lib/`; else the one that tools/setup.sh keeps
#          in the user's cache.
# Targets: LibTorch::cpu   libtorch_cpu and libc10, all that a CPU program needs
#          LibTorch::cuda  the above, libtorch_cuda and libc10_cuda; absent where LibTorch has no CUDA half
# Sets:    LibTorch_VERSION, LibTorch_LIBRARY_DIR, LibTorch_CUDA_MAJOR (the CUDA that it was built with)
#
# torch's own TorchConfig.cmake is not used: it asks for a CUDA toolkit even for a CPU program, ignores
# CMAKE_CUDA_ARCHITECTURES and leaves dead entries in the RPATH.

set(_pinned unknown)  # installed with find_package(vim), which names LibTorch by itself
if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/../../tools/libtorch-cpu.txt)
  file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/../../tools/libtorch-cpu.txt _pinned REGEX "^torch==")
  string(REGEX REPLACE "torch==([0-9.]+).*" "\\1" _pinned "${_pinned}")
endif()
if(DEFINED ENV{VIM_CACHE})
  set(_cache $ENV{VIM_CACHE})
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(_cache $ENV{XDG_CACHE_HOME}/vim)
else()
  set(_cache $ENV{HOME}/.cache/vim)
endif()

# NO_CACHE: a build folder follows when LibTorch moves or CMAKE_PREFIX_PATH changes.
find_path(LibTorch_INCLUDE_DIR ATen/core/Tensor.h NO_CACHE
  PATHS ${_cache}/libtorch-${_pinned}-cuda/torch/include ${_cache}/libtorch-${_pinned}-cpu/torch/include)
string(REGEX REPLACE "/$" "" LibTorch_INCLUDE_DIR "${LibTorch_INCLUDE_DIR}")
if(LibTorch_INCLUDE_DIR)
  cmake_path(GET LibTorch_INCLUDE_DIR PARENT_PATH LibTorch_ROOT)
  foreach(name c10 torch_cpu c10_cuda torch_cuda)
    find_library(LibTorch_${name}_LIBRARY ${name} NO_CACHE NO_DEFAULT_PATH PATHS ${LibTorch_ROOT}/lib)
  endforeach()
endif()

foreach(header torch/headeronly/version.h torch/csrc/api/include/torch/version.h)  # since 2.10, before
  if(EXISTS ${LibTorch_INCLUDE_DIR}/${header} AND NOT LibTorch_VERSION)
    file(STRINGS ${LibTorch_INCLUDE_DIR}/${header} _lines REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
    string(REGEX REPLACE "[^0-9]+" "." LibTorch_VERSION "${_lines}")
    string(REGEX REPLACE "^\\.|\\.$" "" LibTorch_VERSION "${LibTorch_VERSION}")
  endif()
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_torch_cpu_LIBRARY LibTorch_c10_LIBRARY LibTorch_INCLUDE_DIR
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE
    "Run `bash tools/setup.sh` to fetch the pinned one, or pass -DCMAKE_PREFIX_PATH=<the folder with LibTorch's include and lib>.")

if(LibTorch_FOUND AND NOT TARGET LibTorch::cpu)
  cmake_path(GET LibTorch_torch_cpu_LIBRARY PARENT_PATH LibTorch_LIBRARY_DIR)
  # ATen's parallel_for is a template over OpenMP: a file compiled without it would quietly run on one thread.
  # (OpenMP::OpenMP_CXX would name the compiler's libgomp by path, against the one that LibTorch brings.)
  #
  # Kernels and operators register themselves when their library is loaded, so the libraries stay linked even
  # where no symbol of theirs is named.
  set(CMAKE_LINK_LIBRARY_USING_keep "LINKER:--push-state,--no-as-needed" <LINK_ITEM> LINKER:--pop-state)
  set(CMAKE_LINK_LIBRARY_USING_keep_SUPPORTED TRUE)
  add_library(LibTorch::cpu INTERFACE IMPORTED)
  target_include_directories(LibTorch::cpu SYSTEM INTERFACE
    ${LibTorch_INCLUDE_DIR} ${LibTorch_INCLUDE_DIR}/torch/csrc/api/include)
  target_compile_options(LibTorch::cpu INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fopenmp>)
  target_link_options(LibTorch::cpu INTERFACE -fopenmp)
  target_link_libraries(LibTorch::cpu INTERFACE
    "$<LINK_LIBRARY:keep,${LibTorch_torch_cpu_LIBRARY},${LibTorch_c10_LIBRARY}>")

  if(LibTorch_torch_cuda_LIBRARY AND LibTorch_c10_cuda_LIBRARY)
    add_library(LibTorch::cuda INTERFACE IMPORTED)
    target_link_libraries(LibTorch::cuda INTERFACE LibTorch::cpu
      "$<LINK_LIBRARY:keep,${LibTorch_torch_cuda_LIBRARY},${LibTorch_c10_cuda_LIBRARY}>")
    file(STRINGS ${LibTorch_c10_cuda_LIBRARY} _cudart REGEX "^libcudart\\.so\\.[0-9]+" LIMIT_COUNT 1)
    string(REGEX REPLACE "libcudart\\.so\\.([0-9]+).*" "\\1" LibTorch_CUDA_MAJOR "${_cudart}")
  endif()
endif()
