#include "support/test_plugin.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "support/temporary_folder.hpp"

namespace larder::test {

namespace fs = std::filesystem;

std::string built_test_plugin(const std::string& name) {
    const fs::path build = fs::read_symlink("/proc/self/exe").parent_path().parent_path();
    return (build / "lib/larder/test_plugins" / (name + ".so")).string();
}

TestPlugin::TestPlugin(const std::string& id, const std::string& built)
    : id_(id), bytes_(read_file(built_test_plugin(built))) {
    patch("patched_id", id);
    prefix("/api/" + id);
    claim(id + "/");
}

// A text that ends in a zero byte, in a field that is longer: what is behind it is zeros, too.
TestPlugin& TestPlugin::patch(const std::string& mark, const std::string& value) {
    const std::string whole = mark + '\0';
    const std::size_t at = bytes_.find(whole);
    if (at == std::string::npos) throw std::runtime_error("the test plugin has no " + mark);
    const std::size_t length = std::max(mark.size(), value.size()) + 1;
    bytes_.replace(at, length, value + std::string(length - value.size(), '\0'));
    return *this;
}

TestPlugin& TestPlugin::prefix(const std::string& value) {
    return patch(std::exchange(prefix_, value), value);
}

TestPlugin& TestPlugin::claim(const std::string& value) {
    return patch(std::exchange(claim_, value), value);
}

TestPlugin& TestPlugin::trips() { return patch("patched_tripwire", "trip"); }

TestPlugin& TestPlugin::stamp(const std::function<void(AbiStamp&)>& change) {
    const std::size_t at = bytes_.find("LARDERP1");
    if (at == std::string::npos) throw std::runtime_error("the test plugin has no stamp");
    AbiStamp stamp;
    std::memcpy(&stamp, bytes_.data() + at, sizeof(stamp));
    change(stamp);
    std::memcpy(bytes_.data() + at, &stamp, sizeof(stamp));
    return *this;
}

TestPlugin& TestPlugin::replace(const std::string& from, const std::string& to) {
    std::size_t at = bytes_.find(from);
    if (at == std::string::npos || from.size() != to.size()) {
        throw std::runtime_error("the test plugin has no " + from);
    }
    for (; at != std::string::npos; at = bytes_.find(from, at + 1)) {
        bytes_.replace(at, from.size(), to);
    }
    return *this;
}

TestPlugin& TestPlugin::cut_to(std::size_t size) {
    bytes_.resize(size);
    return *this;
}

void TestPlugin::write_to(const std::string& folder) const {
    write_file(folder + "/" + id_ + ".so", bytes_);
}

}  // namespace larder::test
