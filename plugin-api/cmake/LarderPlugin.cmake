# How a plugin's library is linked: loaded by the daemon, exporting its entry alone, with no symbol left
# open, so that a mistake shows when it is built and not at its first use.
#
#   larder_add_plugin(NAME SOURCE…)       makes NAME.so; link Larder::storage_kit to it for the storage-kit
#   larder_add_contract_test(NAME [OPTION…])
#                                         a test that shows NAME.so to keep what every plugin must keep; options
#                                         are the suite's (contract.py --help)
#
# Set LARDER_SANITIZE in a build with sanitizers: their runtime is the daemon's, so symbols stay open.
set(LARDER_PLUGIN_MAP ${CMAKE_CURRENT_LIST_DIR}/plugin.map)

function(larder_add_plugin name)
    add_library(${name} MODULE ${ARGN})
    set_target_properties(${name} PROPERTIES
        PREFIX ""
        CXX_STANDARD 20
        CXX_STANDARD_REQUIRED ON
        CXX_EXTENSIONS OFF
        CXX_VISIBILITY_PRESET hidden
        VISIBILITY_INLINES_HIDDEN ON)
    target_link_libraries(${name} PRIVATE Larder::contract Boost::headers)
    target_link_options(${name} PRIVATE -Wl,--version-script=${LARDER_PLUGIN_MAP})
    if(NOT LARDER_SANITIZE)
        target_link_options(${name} PRIVATE -Wl,-z,defs)
    endif()
    set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS ${LARDER_PLUGIN_MAP})
endfunction()

# Larder_DAEMON, Larder_CONTRACT and Larder_PROBE are the package's; Larder's own tree sets them itself.
function(larder_add_contract_test name)
    find_package(Python3 REQUIRED COMPONENTS Interpreter)
    add_test(NAME contract.${name}
        COMMAND ${Python3_EXECUTABLE} ${Larder_CONTRACT} ${Larder_DAEMON} $<TARGET_FILE:${name}>
                --probe ${Larder_PROBE} ${ARGN})
    set_tests_properties(contract.${name} PROPERTIES TIMEOUT 300 LABELS contract)
endfunction()
