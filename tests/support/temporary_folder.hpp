// A folder of its own for a test on the real file system, gone with the object; and whole files
// read and written. Not for fixtures that can use a FaultDisk, which is faster and fails on demand.
#pragma once

#include <string>
#include <string_view>

namespace larder::test {

class TemporaryFolder {
public:
    TemporaryFolder();
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    const std::string& path() const noexcept { return path_; }
    std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

private:
    std::string path_;
};

// Both throw std::runtime_error when they cannot; writing makes the folders on the way.
std::string read_file(const std::string& path);
void write_file(const std::string& path, std::string_view text);

}  // namespace larder::test
