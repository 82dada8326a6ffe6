// A disk that is soon full: a small tmpfs, and a file that takes what is left of it. Wants to
// mount; tests look at why_not() first and say SKIPPED.
#pragma once

#include <fmt/format.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/temporary_folder.hpp"

namespace larder::test {

// A tmpfs of so many KiB, unmounted at the end whatever still uses it.
class SmallDisk {
public:
    explicit SmallDisk(int kib) {
        std::filesystem::create_directory(path());
        const auto size = fmt::format("size={}k", kib);
        if (mount("tmpfs", path().c_str(), "tmpfs", 0, size.c_str()) != 0) why_ = strerror(errno);
    }
    ~SmallDisk() {
        if (why_.empty()) umount2(path().c_str(), MNT_DETACH);
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

    const std::string& why_not() const noexcept { return why_; }
    std::string path() const { return folder_.path() + "/disk"; }
    std::string ballast() const { return path() + "/ballast"; }

    // Takes all that is left but so many bytes, in a file that can be removed.
    void fill(std::size_t leave = 0) const {
        std::ofstream file(ballast(), std::ios::binary | std::ios::app);
        const std::string page(4096, 'b');
        const auto room = [&] { return std::filesystem::space(path()).available > leave; };
        while (room() && file.write(page.data(), static_cast<std::streamsize>(page.size()))) {
            file.flush();
        }
    }
    void clear() const { std::filesystem::remove(ballast()); }

private:
    TemporaryFolder folder_;
    std::string why_;
};

}  // namespace larder::test
