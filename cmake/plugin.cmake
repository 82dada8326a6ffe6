# How a plugin's library is linked: loaded by the daemon, exporting its entry alone, with no symbol left
# open, so that a mistake shows when it is built and not at its first use.
add_custom_target(plugins)  # all that ship with the daemon

function(larder_plugin_target name)
    add_library(${name} MODULE ${ARGN})
    set_target_properties(${name} PROPERTIES
        PREFIX ""
        LIBRARY_OUTPUT_DIRECTORY ${LARDER_PLUGIN_OUTPUT_DIRECTORY})
    target_link_libraries(${name} PRIVATE larder_contract Boost::headers)
    target_link_options(${name} PRIVATE
        -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/plugin.map)
    if(NOT LARDER_SANITIZE)  # a sanitizer's runtime is the executable's
        target_link_options(${name} PRIVATE -Wl,-z,defs)
    endif()
    add_dependencies(plugins ${name})
    set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/plugin.map)
endfunction()
