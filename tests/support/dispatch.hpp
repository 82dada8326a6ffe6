// A dispatcher with routes of a test's choosing, workers, and a log that is kept; requests come
// from fake exchanges. Not the front: a test that wants a body pushed does it itself.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "routing/dispatcher.hpp"
#include "support/fake_exchange.hpp"
#include "support/kept_log.hpp"
#include "support/routes.hpp"

namespace larder::test {

class Dispatch {
public:
    explicit Dispatch(access::Policy policy = {}, std::size_t threads = 4, std::size_t queue = 100)
        : workers(threads, queue, [](std::string_view) {}),
          dispatcher(1, workers,
                     [this](const http::Ended& ended, const routing::Endpoint* endpoint,
                            std::string_view principal) {
                         observed = fmt::format("{} {} {}", ended.status,
                                                endpoint != nullptr ? endpoint->route.pattern : "-",
                                                principal);
                     }),
          access_(std::make_shared<access::Access>(std::move(policy))) {
        maker.owner.log = &log_;
        publish();
    }

    // Ends what a test left under way: exchange and attachment hold each other until then.
    ~Dispatch() {
        for (const auto& made : made_) {
            if (const auto exchange = made.lock()) exchange->attachment.reset();
        }
    }
    Dispatch(const Dispatch&) = delete;
    Dispatch& operator=(const Dispatch&) = delete;

    template <class Handler> void add(Route route, Handler handler) {
        endpoints_.push_back(maker.make(route, std::move(handler)));
        publish();
    }
    void off(std::string prefix, std::string slug, std::string reason) {
        unavailable_.push_back({std::move(prefix), std::move(slug), std::move(reason)});
        publish();
    }

    std::shared_ptr<FakeExchange> exchange(std::string method, std::string target,
                                           std::vector<http::Field> fields = {},
                                           std::string body = {}) {
        auto made = std::make_shared<FakeExchange>(std::move(method), std::move(target),
                                                   std::move(fields), std::move(body));
        made_.push_back(made);
        return made;
    }
    // Begins it and, unless it is an upload or refused, runs it.
    http::BodyPlan begin(const std::shared_ptr<FakeExchange>& exchange) {
        http::BodyPlan plan = dispatcher.begin(exchange);
        if (plan.kind == http::BodyPlan::Kind::buffer) dispatcher.run(exchange);
        return plan;
    }
    // All of it: "STATUS code"; header() and body() tell of the answer.
    std::string carry_out(const std::shared_ptr<FakeExchange>& exchange) {
        begin(exchange);
        return settle(exchange);
    }
    std::string ask(std::string method, std::string target, std::vector<http::Field> fields = {},
                    std::string body = {}) {
        return carry_out(this->exchange(std::move(method), std::move(target), std::move(fields),
                                        std::move(body)));
    }
    // Waits for the answer and ends the exchange.
    std::string settle(const std::shared_ptr<FakeExchange>& exchange) {
        const Response* answer = exchange->wait_for_answer();
        if (answer == nullptr) return "no answer";
        headers_ = answer->headers;
        const auto* text = std::get_if<std::string>(&answer->body);
        body_ = text != nullptr ? *text : "";
        const int status = answer->status;
        exchange->attachment.reset();
        const std::string mark = "\"code\":\"";
        const std::size_t at = body_.find(mark);
        const std::string code =
            status >= 400 && at != std::string::npos
                ? body_.substr(at + mark.size(),
                               body_.find('"', at + mark.size()) - at - mark.size())
                : "";
        return fmt::format("{} {}", status, code);
    }
    std::string header(std::string_view name) const {
        for (const auto& [known, value] : headers_) {
            if (known == name) return value;
        }
        return {};
    }
    const std::string& body() const noexcept { return body_; }
    std::string log() const { return log_.text(); }

private:
    KeptLog log_;

public:
    RouteMaker maker;
    std::string observed;
    jobs::WorkerPool workers;
    routing::Dispatcher dispatcher;

private:
    void publish() {
        dispatcher.set_view(
            0, {std::make_shared<routing::RouteTable>(endpoints_, unavailable_), access_});
    }

    std::shared_ptr<const access::Access> access_;
    std::vector<routing::EndpointPtr> endpoints_;
    std::vector<routing::Unavailable> unavailable_;
    std::vector<std::weak_ptr<FakeExchange>> made_;
    Headers headers_;
    std::string body_;
};

}  // namespace larder::test
