# Every third party that the project links, in one place (versions, licences and reasons: third_party/README.md).

# vim_torch is what modules link; in a CUDA build VimCuda.cmake adds to it.
find_package(LibTorch REQUIRED)
add_library(vim_torch INTERFACE)
target_link_libraries(vim_torch INTERFACE LibTorch::cpu)
# LibTorch was built with NDEBUG, on which the layout of at::RecordFunction depends; CMake defines it in Release alone.
target_compile_definitions(vim_torch INTERFACE $<BUILD_INTERFACE:$<$<NOT:$<CONFIG:Release>>:NDEBUG>>)
find_package(Threads REQUIRED)
# Debian keeps OpenCVConfig.cmake in a package that pulls in all of OpenCV (644 MB), so the two modules that
# we use are found by hand.
find_path(OPENCV_INCLUDE_DIR opencv2/imgproc.hpp PATH_SUFFIXES opencv4 REQUIRED)
find_library(OPENCV_CORE_LIBRARY opencv_core REQUIRED)
find_library(OPENCV_IMGPROC_LIBRARY opencv_imgproc REQUIRED)
add_library(vim_opencv INTERFACE)
target_include_directories(vim_opencv SYSTEM INTERFACE ${OPENCV_INCLUDE_DIR})
target_link_libraries(vim_opencv INTERFACE ${OPENCV_IMGPROC_LIBRARY} ${OPENCV_CORE_LIBRARY})

find_package(PkgConfig REQUIRED)
pkg_check_modules(turbojpeg REQUIRED IMPORTED_TARGET libturbojpeg)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(ZLIB REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_path(XXHASH_INCLUDE_DIR xxhash.h REQUIRED)
