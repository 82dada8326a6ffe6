// What a file is, by its content. Not by its name, and not what its sender said.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace larder::files {

// libmagic, whose cookies serve one thread at a time: as many are made as are used at once.
class TypeDetector {
public:
    static constexpr std::size_t kLooksAt = 64U << 10U;  // bytes from a file's beginning

    TypeDetector();
    ~TypeDetector();
    TypeDetector(const TypeDetector&) = delete;
    TypeDetector& operator=(const TypeDetector&) = delete;

    // "image/png" of the first kLooksAt bytes; empty where nothing can be told. [worker]
    std::string type_of(std::string_view beginning);

private:
    struct Cookie;
    std::unique_ptr<Cookie> take();

    std::mutex mutex_;
    std::vector<std::unique_ptr<Cookie>> idle_;  // guarded by mutex_
};

}  // namespace larder::files
