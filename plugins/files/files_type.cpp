#include "files_type.hpp"

#include <magic.h>

#include <utility>

namespace larder::files {

struct TypeDetector::Cookie {
    Cookie() : magic(magic_open(MAGIC_MIME_TYPE | MAGIC_NO_CHECK_COMPRESS)) {
        if (magic != nullptr && magic_load(magic, nullptr) != 0) {
            magic_close(std::exchange(magic, nullptr));
        }
    }
    ~Cookie() {
        if (magic != nullptr) magic_close(magic);
    }
    Cookie(const Cookie&) = delete;
    Cookie& operator=(const Cookie&) = delete;

    magic_t magic;  // null where libmagic has no data to go by
};

TypeDetector::TypeDetector() = default;
TypeDetector::~TypeDetector() = default;

std::unique_ptr<TypeDetector::Cookie> TypeDetector::take() {
    const std::scoped_lock lock(mutex_);
    if (idle_.empty()) return nullptr;
    auto cookie = std::move(idle_.back());
    idle_.pop_back();
    return cookie;
}

std::string TypeDetector::type_of(std::string_view beginning) {
    if (beginning.empty()) return {};
    auto cookie = take();
    if (!cookie) cookie = std::make_unique<Cookie>();
    std::string type;
    if (cookie->magic != nullptr) {
        const char* const found = magic_buffer(cookie->magic, beginning.data(), beginning.size());
        if (found != nullptr) type = found;
    }
    const std::scoped_lock lock(mutex_);
    idle_.push_back(std::move(cookie));
    return type;
}

}  // namespace larder::files
