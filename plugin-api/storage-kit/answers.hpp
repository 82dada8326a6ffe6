// Answers that look alike in every plugin, and work that a prompt handler hands to a worker. Not
// the host's own answers: most problem documents come of larder::Error.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "larder/error.hpp"
#include "larder/host.hpp"
#include "larder/http.hpp"

namespace larder::storage {

// `body` is JSON. [any]
Response json_answer(int status, std::string body);
// A problem document (RFC 9457) for a status beyond those of Errc: 416, 460. [any]
Response problem_answer(std::string_view request_id, int status, std::string_view slug,
                        std::string_view title, std::string_view detail);

// 503: no worker can take it. [any]
Error overloaded();

// Runs `task` on a worker; an Error that it throws is the answer. Throws overloaded(). [any]
template <class Task> void on_worker(Host& host, const std::shared_ptr<Reply>& reply, Task task) {
    const bool posted = host.workers().post([reply, task = std::move(task)]() mutable {
        try {
            task();
        } catch (const Error& error) {
            std::move(*reply).fail(error);
        }
    });
    if (!posted) throw overloaded();
}

}  // namespace larder::storage
