# Debian packages by CPack, of what is built here: larder (daemon, plugins, larderctl, units, settings) and
# larder-dev (what authors of plugins need). tools/package makes them.

# ---- what only a package installs: where a system has it, beside or below /usr
install(DIRECTORY etc/ DESTINATION ../etc/larder COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES systemd/larder.service systemd/larder.socket DESTINATION lib/systemd/system
        COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES systemd/sysusers.conf DESTINATION lib/sysusers.d RENAME larder.conf
        COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES systemd/tmpfiles.conf DESTINATION lib/tmpfiles.d RENAME larder.conf
        COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES README.md docs/architecture.md DESTINATION share/doc/larder COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES plugin-api/README.md plugin-api/CHANGELOG.md DESTINATION share/doc/larder-dev
        COMPONENT debian-dev EXCLUDE_FROM_ALL)
foreach(plugin IN LISTS LARDER_PLUGINS)
    install(FILES plugins/${plugin}/README.md DESTINATION share/doc/larder/plugins RENAME ${plugin}.md
            COMPONENT debian EXCLUDE_FROM_ALL)
endforeach()

# larderctl tells its own words to the shells.
set(completions ${CMAKE_BINARY_DIR}/completions)
add_custom_command(OUTPUT ${completions}/larderctl.bash ${completions}/larderctl.zsh ${completions}/larderctl.fish
    COMMAND ${CMAKE_COMMAND} -E make_directory ${completions}
    COMMAND larderctl completion bash > ${completions}/larderctl.bash
    COMMAND larderctl completion zsh > ${completions}/larderctl.zsh
    COMMAND larderctl completion fish > ${completions}/larderctl.fish
    DEPENDS larderctl VERBATIM)
add_custom_target(larder_completions ALL DEPENDS ${completions}/larderctl.bash)
install(FILES ${completions}/larderctl.bash DESTINATION share/bash-completion/completions RENAME larderctl
        COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES ${completions}/larderctl.zsh DESTINATION share/zsh/vendor-completions RENAME _larderctl
        COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES ${completions}/larderctl.fish DESTINATION share/fish/vendor_completions.d
        COMPONENT debian EXCLUDE_FROM_ALL)

# ---- a configuration file that an admin has changed is kept by an upgrade
file(GLOB_RECURSE settings RELATIVE ${PROJECT_SOURCE_DIR}/etc CONFIGURE_DEPENDS etc/*.ini)
list(TRANSFORM settings PREPEND /etc/larder/)
list(JOIN settings "\n" conffiles)
file(WRITE ${CMAKE_BINARY_DIR}/debian/conffiles "${conffiles}\n")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME larder)
set(CPACK_PACKAGE_VENDOR Larder)
set(CPACK_PACKAGE_CONTACT "Larder <larder@localhost>")
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_COMPONENTS_ALL daemon debian plugin-api debian-dev)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_DEBIAN_LARDER_PACKAGE_NAME larder)
set(CPACK_DEBIAN_LARDER_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_LARDER_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_LARDER_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers | systemd-sysusers, procps")
set(CPACK_DEBIAN_LARDER_PACKAGE_RECOMMENDS "bubblewrap, python3")
set(CPACK_DEBIAN_LARDER_PACKAGE_SUGGESTS "nodejs, redis-server, larder-dev")
set(CPACK_DEBIAN_LARDER_PACKAGE_CONTROL_EXTRA
    ${PROJECT_SOURCE_DIR}/cmake/debian/postinst ${PROJECT_SOURCE_DIR}/cmake/debian/prerm
    ${PROJECT_SOURCE_DIR}/cmake/debian/postrm ${CMAKE_BINARY_DIR}/debian/conffiles)

set(CPACK_DEBIAN_LARDER-DEV_PACKAGE_NAME larder-dev)
set(CPACK_DEBIAN_LARDER-DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_LARDER-DEV_PACKAGE_SHLIBDEPS ON)  # the contract suite has a plugin of its own
set(CPACK_PROJECT_CONFIG_FILE ${PROJECT_SOURCE_DIR}/cmake/package_depends.cmake)
set(CPACK_DEBIAN_LARDER_DESCRIPTION "keeps a machine's data behind one HTTP interface
JSON values, files, metrics, errors and an audit, each kept by a plugin of one daemon.
An acknowledged write is on disk, and the files stay readable.")
set(CPACK_DEBIAN_LARDER-DEV_DESCRIPTION "what authors of Larder's plugins need
The plugin interface, the storage-kit, a CMake package, a template to copy and the
suite of tests that every plugin must pass.")

include(CPack)
cpack_add_component(daemon GROUP larder)
cpack_add_component(debian GROUP larder)
cpack_add_component(plugin-api GROUP larder-dev)
cpack_add_component(debian-dev GROUP larder-dev)
