// One upload between the front, which pushes bytes on the I/O thread, and the plugin's Upload,
// which takes them on workers: in order, one call at a time, a worker held only while there are
// bytes.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "http/http.hpp"
#include "jobs/worker_pool.hpp"
#include "routing/call.hpp"

namespace larder::routing {

class UploadSession final : public http::BodySink,
                            public std::enable_shared_from_this<UploadSession> {
public:
    UploadSession(std::shared_ptr<Call> call, jobs::WorkerPool& workers);

    // Has the plugin's handler open the upload on a worker; false: the pool is full. [io]
    [[nodiscard]] bool begin();

    bool take(std::string&& bytes) override;
    void end(Headers&& trailers) override;
    void abort() noexcept override;

private:
    void run() noexcept;  // on a worker, while there is something to do
    void open();
    void step();         // takes what is queued; ends or aborts the upload when its turn has come
    void wake_worker();  // with mutex_ held
    void give_up() noexcept;

    const std::shared_ptr<Call> call_;
    jobs::WorkerPool& workers_;

    // Only the worker whose turn it is.
    std::unique_ptr<Upload> upload_;
    std::optional<Reply> reply_;
    bool opened_ = false;

    std::mutex mutex_;  // guards all below
    std::deque<std::string> chunks_;
    std::size_t queued_bytes_ = 0;
    std::optional<Headers> trailers_;  // set: the body was whole
    bool aborted_ = false, paused_ = true, busy_ = false, over_ = false;
};

}  // namespace larder::routing
