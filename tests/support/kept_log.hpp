// A log that keeps what is written to it, for tests that look at messages.
#pragma once

#include <mutex>
#include <string>
#include <string_view>

#include "larder/host.hpp"

namespace larder::test {

class KeptLog final : public Log {
public:
    void write(Level /*level*/, std::string_view message) noexcept override {
        const std::scoped_lock lock(mutex_);
        text_.append(message).append("\n");
    }
    std::string text() const {
        const std::scoped_lock lock(mutex_);
        return text_;
    }
    bool has(std::string_view part) const { return text().find(part) != std::string::npos; }

private:
    mutable std::mutex mutex_;
    std::string text_;  // guarded by mutex_
};

}  // namespace larder::test
