# Two components: `programs`, what tools/package.sh makes a folder of, and `development`, the library for other
# projects' find_package(vim).
include(CMakePackageConfigHelpers)

install(DIRECTORY configs DESTINATION . COMPONENT programs)
install(FILES README.md LICENSE DESTINATION . COMPONENT programs)

add_library(vim INTERFACE)
target_link_libraries(vim INTERFACE vim_train)
set(package lib/cmake/vim)
install(TARGETS
    vim vim_options vim_torch vim_opencv vim_core vim_io vim_config vim_ops vim_ops_archive vim_nn vim_data vim_dist
    vim_tasks vim_train
  EXPORT vimTargets ARCHIVE DESTINATION lib COMPONENT development)
install(EXPORT vimTargets NAMESPACE vim:: DESTINATION ${package} COMPONENT development)
install(DIRECTORY include/vim DESTINATION include COMPONENT development)
configure_file(third_party/cmake/vimConfig.cmake.in vimConfig.cmake @ONLY)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/vimConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES
    ${CMAKE_CURRENT_BINARY_DIR}/vimConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/vimConfigVersion.cmake
    third_party/cmake/FindLibTorch.cmake third_party/cmake/VimDependencies.cmake
  DESTINATION ${package} COMPONENT development)
