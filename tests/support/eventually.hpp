// Waiting for a condition with a deadline, instead of sleeping for luck.
#pragma once

#include <chrono>
#include <functional>

namespace larder::test {

// Looks until `condition` holds; false when it did not within `limit`.
bool eventually(const std::function<bool()>& condition,
                std::chrono::milliseconds limit = std::chrono::seconds(20));

}  // namespace larder::test
