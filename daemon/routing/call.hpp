// One request on its way through a plugin: what the handler reads (Request) and what the answer
// comes back by (PendingReply). Not the choice of the route: that is the dispatcher's.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "access/principal.hpp"
#include "http/http.hpp"
#include "larder/http.hpp"
#include "larder/rate_limit.hpp"
#include "routing/gate.hpp"
#include "routing/route_table.hpp"

namespace larder::routing {

// 503 plugin-disabled, for what comes or waits while the plugin is being stopped.
Error stopped(const Owner& owner);

// Held by the exchange until it has ended and by the Reply until it is used, whichever is later; so
// the gate's pass, which it holds too, covers the handler, the Reply and the answer's body. Once
// the exchange has ended, a Reply that is still unused holds the pass set aside.
class Call final : public Request, public PendingReply, public std::enable_shared_from_this<Call> {
public:
    Call(std::shared_ptr<http::Exchange> exchange, std::shared_ptr<const RouteTable> table,
         const Match& match, access::PrincipalPtr principal);

    void tell_limit(const RateVerdict& verdict) noexcept { limit_ = verdict; }
    // Decodes parameters and query; throws Error{bad_request} naming what is malformed or unknown.
    void decode(const Match& match);
    void hold(Gate::Pass pass) noexcept {
        pass_ = std::move(pass);
        life_ = endpoint_->owner->life.load(std::memory_order_acquire);
    }
    // Whether the plugin's code may still be called for it. [any]
    bool is_live() const noexcept {
        return endpoint_->owner->life.load(std::memory_order_acquire) == life_;
    }
    bool is_answered() const noexcept { return (phase_.load() & kAnswered) != 0; }
    // The plugin is cut off: who waits for a Reply that it keeps is answered 503; what runs or has
    // been answered already is left to the front, which cuts it. The caller holds this: the answer
    // may leave, and end the exchange, at once. [io]
    void withdraw() noexcept;
    void ended() noexcept;  // the exchange is over, only a Reply may be left [io]
    const Endpoint& endpoint() const noexcept { return *endpoint_; }
    http::Exchange& exchange() const noexcept { return *exchange_; }
    // Null on an open route that was asked without credentials.
    const access::PrincipalPtr& caller() const noexcept { return principal_; }
    // Whether the route may be used on what the path names. Of a caller who is_confined()
    // decode() has been called.
    bool is_allowed() const;
    bool is_confined() const noexcept { return principal_ && principal_->rights.is_confined(); }

    // The right to answer; keeps this alive until it is used.
    Reply make_reply();
    // Runs a handler's body and turns what it throws into the answer. [io, worker]
    template <class F> void guarded(F&& body) noexcept;

    // Request
    Method method() const noexcept override {
        return exchange_->head().method == "HEAD" ? Method::head : endpoint_->route.method;
    }
    std::string_view target() const noexcept override { return exchange_->head().target; }
    std::string_view param(std::string_view name) const override;
    std::optional<std::string_view> query(std::string_view name) const override;
    std::vector<std::string_view> queries(std::string_view name) const override;
    std::optional<std::string_view> header(std::string_view name) const override;
    std::optional<std::uint64_t> content_length() const noexcept override;
    std::string_view body() const override { return exchange_->body(); }
    std::string_view principal() const noexcept override {
        return principal_ ? std::string_view(principal_->name) : std::string_view();
    }
    bool may(Permission permission, std::string_view resource) const override;
    std::string_view peer_address() const noexcept override { return exchange_->peer().address; }
    std::string_view id() const noexcept override { return exchange_->id(); }
    std::shared_ptr<Cancel> cancel() const override { return exchange_->cancel(); }

    // PendingReply
    void send(Response&& response) noexcept override;
    void fail(const Error& error) noexcept override;
    std::shared_ptr<EventStream> stream(StreamHead head) noexcept override;
    void drop() noexcept override;

private:
    std::string_view decode_one(std::string_view text, bool query);
    bool claim() noexcept { return (phase_.fetch_or(kAnswered) & kAnswered) == 0; }
    void answer(Response&& response) noexcept;
    void answer_problem(const Error& error) noexcept;
    void answer_gone() noexcept;
    void answer_internal_error(std::string_view what) noexcept;
    void begin_handler() noexcept { phase_.fetch_or(kRunning); }
    void end_handler(const Error* thrown, std::string_view foreign) noexcept;
    void log(Level level, std::string_view message) const noexcept;
    void report(int status, std::string_view slug, std::string_view message) const noexcept;

    // The handler runs; the Reply was dropped; somebody has taken the right to answer; the Reply
    // was used or dropped.
    static constexpr unsigned kRunning = 1, kDropped = 2, kAnswered = 4, kUsed = 8;

    const std::shared_ptr<http::Exchange> exchange_;
    const std::shared_ptr<const RouteTable> table_;  // keeps endpoint_
    const Endpoint* const endpoint_;
    const access::PrincipalPtr principal_;
    std::array<std::string_view, kMaxParameters> values_;  // decoded
    std::vector<std::pair<std::string_view, std::string_view>> query_;
    std::string decoded_;                     // what the views above point into
    mutable std::deque<std::string> joined_;  // of repeated headers; only the handler's thread
    std::shared_ptr<Call> self_;              // the Reply's hold
    std::atomic<unsigned> phase_{0};
    RateVerdict limit_;       // what the answer is to tell of the caller's limit
    std::uint32_t life_ = 0;  // of the owner, when this began
    Gate::Pass pass_;         // only the reactor, once it is held
};

// Who asks, of a request that the dispatcher made. [any]
const access::PrincipalPtr& caller_of(const Request& request);

template <class F> void Call::guarded(F&& body) noexcept {
    begin_handler();
    try {
        body();
        end_handler(nullptr, {});
    } catch (const Error& error) {
        end_handler(&error, {});
    } catch (const std::exception& error) {
        end_handler(nullptr, error.what());
    } catch (...) {
        end_handler(nullptr, "threw something that is no std::exception");
    }
}

}  // namespace larder::routing
