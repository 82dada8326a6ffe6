# How the plugins of this tree are built: as strangers build theirs, and laid where the daemon beside them
# looks.
include(${CMAKE_CURRENT_LIST_DIR}/../plugin-api/cmake/LarderPlugin.cmake)
add_custom_target(plugins)  # all that ship with the daemon

function(larder_plugin_target name)
    larder_add_plugin(${name} ${ARGN})
    set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${LARDER_PLUGIN_OUTPUT_DIRECTORY})
    add_dependencies(plugins ${name})
    install(TARGETS ${name} LIBRARY DESTINATION ${LARDER_LIBDIR}/larder/plugins COMPONENT daemon)
endfunction()
