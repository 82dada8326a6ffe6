// A Cancel that somebody sets and anybody looks at: for who hands one out.
#pragma once

#include <atomic>

#include "larder/http.hpp"

namespace larder {

class CancelFlag final : public Cancel {
public:
    bool cancelled() const noexcept override { return set_.load(std::memory_order_acquire); }
    void cancel() noexcept override { set_.store(true, std::memory_order_release); }

private:
    std::atomic<bool> set_{false};
};

}  // namespace larder
