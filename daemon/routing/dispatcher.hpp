// Brings each request to its handler and each answer back: access, route, media type, query, gate,
// in the order of refusal that API users rely on. Not the table's keeper: the plugin host publishes
// it.
//
// Order of refusal: 400 framing (the front) · 421/403 cross-site · 401 (429 where passwords were
// tried too often) · 429 for a caller whose limit is spent · 404 · 405 · 403 · 415 · 413 · 400
// query and conditions · then the handler (400/422 content, 412).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "access/access.hpp"
#include "http/http.hpp"
#include "jobs/worker_pool.hpp"
#include "larder/rate_limit.hpp"
#include "routing/call.hpp"
#include "routing/route_table.hpp"

namespace larder::routing {

// What the dispatcher works by; every reactor has a copy of its own, swapped on its own thread.
struct View {
    std::shared_ptr<const RouteTable> table;
    std::shared_ptr<const access::Access> access;
    std::shared_ptr<RateLimiter> limiter = nullptr;  // null: nobody is limited
};

class Dispatcher final : public http::Application {
public:
    // Told of every request that ended; `endpoint` is null where no route was found. [io]
    using Observer = std::function<void(const http::Ended&, const Endpoint* endpoint,
                                        std::string_view principal)>;

    Dispatcher(std::size_t reactors, jobs::WorkerPool& workers, Observer observer);

    void set_view(std::size_t reactor, View view);  // on that reactor, or before it starts
    // Whether an exchange is one of this owner's, which is cut off: if it only waits for a Reply it
    // is answered here; whatever is left of it the front is to cut. [io]
    static bool withdraw(http::Exchange& exchange, const Owner& owner) noexcept;

    // Whose prompt handlers run yet that ran already when this was called last: they hold up an I/O
    // thread. [one at a time]
    std::vector<const Owner*> holding();

    http::BodyPlan begin(const std::shared_ptr<http::Exchange>& exchange) override;
    void run(const std::shared_ptr<http::Exchange>& exchange) override;
    void ended(const http::Ended& ended) noexcept override;

private:
    struct Slot;
    http::BodyPlan route(const std::shared_ptr<http::Exchange>& exchange, Slot& slot);
    // Who asks. False: the request was answered, or waits for a password to be tried; `plan` is
    // then what to do.
    bool identify(const std::shared_ptr<http::Exchange>& exchange, Slot& slot, Permission wanted,
                  access::PrincipalPtr& principal, http::BodyPlan& plan);
    http::BodyPlan begin_call(const std::shared_ptr<Call>& call, const Match& match);

    struct alignas(64) Slot {
        View view;
        // Exchanges that wait for a password to be tried.
        std::map<const http::Exchange*, access::AttemptPtr> attempts;
        // The prompt call that runs, and how many have begun. Written by the reactor alone.
        std::atomic<const Owner*> inside{nullptr};
        std::atomic<std::uint64_t> calls{0};
        std::uint64_t seen = 0;  // calls, when a handler was last found inside; only holding()
    };
    std::vector<Slot> slots_;  // by reactor; but for what is atomic touched only by its own thread
    jobs::WorkerPool& workers_;
    const Observer observer_;
};

}  // namespace larder::routing
