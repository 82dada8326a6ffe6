// The macro that exports a plugin's entry and stamps its file. In exactly one source file:
//
//   constinit const larder::PluginEntry entry = {…};
//   LARDER_PLUGIN(entry)
//
// The only header of the contract that needs Boost.DLL (headers only, BOOST_DLL_USE_STD_FS).
#pragma once

#include <boost/dll/alias.hpp>

#include "larder/plugin.hpp"

#define LARDER_PLUGIN(entry)                                                               \
    __attribute__((section(".note.larder"), used,                                          \
                   aligned(8))) static constinit const larder::AbiStamp larder_abi_stamp = \
        larder::make_abi_stamp();                                                          \
    BOOST_DLL_ALIAS(entry, larder_plugin)
