// What the cache hears from the daemon: programs that ran and files that were stored go onto the
// board `program_executions` and the list `recent_uploads`; plugins that come to run are reason to
// warm the cache.
#pragma once

#include <functional>
#include <memory>

#include "boards.hpp"
#include "larder/host.hpp"

namespace larder::cache {

class Feed {
public:
    // `warm` is called on a worker.
    Feed(Boards& boards, Host& host, std::function<void()> warm)
        : boards_(boards), host_(host), warm_(std::move(warm)) {}
    void start();                              // subscribes [control]
    void stop() noexcept { ticket_.reset(); }  // waits for a call under way

private:
    void take(const EventBatch& batch);

    Boards& boards_;
    Host& host_;
    const std::function<void()> warm_;
    std::unique_ptr<Ticket> ticket_;
};

}  // namespace larder::cache
