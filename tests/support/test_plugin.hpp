// Makes plugins that misbehave out of one built library, by patching copies of it. How each
// misbehaves stands in bad_plugins/bad_plugin.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "larder/abi.hpp"

namespace larder::test {

// Where a built test plugin is: "bad_plugin", "bad_plugin_debug", "bad_plugin_clang". It may not be
// there: not every build has all.
std::string built_test_plugin(const std::string& name);

// A copy of a plugin's file, to be bent and written.
class TestPlugin {
public:
    // Does what `id` says; its prefix is /api/<id> and its data is <id>/.
    explicit TestPlugin(const std::string& id, const std::string& built = "bad_plugin");

    TestPlugin& prefix(const std::string& value);
    TestPlugin& claim(const std::string& value);
    TestPlugin& trips();  // aborts as soon as any of its code runs
    TestPlugin& stamp(const std::function<void(AbiStamp&)>& change);
    // Overwrites a text that the file holds, everywhere; of the same length.
    TestPlugin& replace(const std::string& from, const std::string& to);
    TestPlugin& cut_to(std::size_t size);

    const std::string& id() const noexcept { return id_; }
    void write_to(const std::string& folder) const;  // as <id>.so

private:
    TestPlugin& patch(const std::string& mark, const std::string& value);

    std::string id_, bytes_;
    std::string prefix_ = "/api/patched_prefix", claim_ = "patched_claim/";  // as they stand
};

}  // namespace larder::test
