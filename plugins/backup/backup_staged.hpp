// A file on its way: gone at the end of its scope, unless it was renamed.
#pragma once

#include <unistd.h>

#include <string>
#include <utility>

namespace larder::backup {

class Staged {
public:
    explicit Staged(std::string path) : path_(std::move(path)) {}
    ~Staged() { ::unlink(path_.c_str()); }
    Staged(const Staged&) = delete;
    Staged& operator=(const Staged&) = delete;
    const std::string& path() const noexcept { return path_; }

private:
    const std::string path_;
};

}  // namespace larder::backup
