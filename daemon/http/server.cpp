// Ties reactors, listeners and certificate together: who gets a new connection, and how all of it
// starts and ends. Not what happens on a connection.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <ctime>
#include <mutex>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "http/connection.hpp"
#include "http/http.hpp"
#include "http/listener.hpp"
#include "http/problem.hpp"
#include "http/reactor.hpp"
#include "http/response_writer.hpp"
#include "http/tls.hpp"
#include "larder/error.hpp"

namespace larder::http {

namespace {

// Connections beyond the limit that are being told so, at a time; further ones are closed at once.
constexpr std::size_t kTurningAway = 256;
// For a reactor to come to what it is asked; it is busy for milliseconds, or it hangs.
constexpr std::chrono::seconds kPatience{10}, kPatienceWithOneThatLags{1};

// What is told where a connection object cannot be had.
std::string bare_refusal(Reactor& reactor) {
    const std::string id = fmt::format("{:016x}", reactor.random());
    Response response =
        problem(503, "too-many-connections",
                "there are as many connections as are allowed; try again in a second", id);
    response.headers.emplace_back("Retry-After", "1");
    const std::string& body = std::get<std::string>(response.body);
    ResponseHead head;
    head.status = response.status;
    head.headers = &response.headers;
    head.length = body.size();
    head.close = true;
    head.date = reactor.date();
    head.id = id;
    std::string text;
    append_head(text, head);
    return text + body;
}

// A socket on its way to another reactor.
class Arrival final : public Mailed {
public:
    Arrival(std::shared_ptr<Reactor> reactor, Accepted accepted, SslPointer ssl, bool turn_away)
        : reactor_(std::move(reactor)),
          accepted_(std::move(accepted)),
          ssl_(std::move(ssl)),
          turn_away_(turn_away) {}

    void deliver(std::uint64_t) noexcept override {
        const auto connection =
            std::make_shared<Connection>(reactor_, accepted_.release(), accepted_.family(),
                                         std::move(accepted_.peer()), std::move(ssl_));
        connection->start(turn_away_);
    }

private:
    std::shared_ptr<Reactor> reactor_;
    Accepted accepted_;
    SslPointer ssl_;
    bool turn_away_;
};

}  // namespace

class Server::Impl {
public:
    Impl(Options options, Application& application, Post post, Logger logger);

    void listen(const ListenerSpec& spec);
    void start();
    void update(const Options& options);
    bool on_each_reactor(std::function<void(std::size_t)> call);
    void call_round(const std::function<void(const std::string&, std::uint64_t)>& tell);
    std::size_t drain(Clock::time_point deadline);
    void stop();

    Stats stats() const noexcept;
    std::size_t load() const noexcept;

    TlsContext tls;
    std::vector<std::unique_ptr<Listener>> listeners;
    std::vector<std::shared_ptr<Reactor>> reactors;

private:
    using Reactors = std::vector<std::shared_ptr<Reactor>>;
    bool on_each(const Reactors& reactors, std::function<void(std::size_t)> call);
    void place(Accepted&& accepted);
    void stop_listening();

    const std::shared_ptr<Environment> environment_ = std::make_shared<Environment>();
    // Runs no handlers, so that connections are taken whatever these do.
    std::shared_ptr<Reactor> acceptor_;
    bool running_ = false;
    // Of the reactors, then the acceptor; used by call_round() alone, counted by their threads.
    struct Calls {
        std::uint64_t asked = 0;
        std::shared_ptr<std::atomic<std::uint64_t>> came =
            std::make_shared<std::atomic<std::uint64_t>>(0);
    };
    std::vector<Calls> calls_;
};

Server::Impl::Impl(Options options, Application& application, Post post, Logger logger) {
    environment_->application = &application;
    environment_->post = std::move(post);
    environment_->logger = std::move(logger);
    const std::size_t count = options.reactors > 0
                                  ? options.reactors
                                  : std::max<std::size_t>(1, std::thread::hardware_concurrency());
    for (std::size_t i = 0; i < count; ++i) {
        reactors.push_back(std::make_shared<Reactor>(i, environment_, options));
    }
    acceptor_ = std::make_shared<Reactor>(count, environment_, options);
}

void Server::Impl::listen(const ListenerSpec& spec) {
    if (spec.tls && !tls.ready()) {
        throw Error(Errc::unavailable, "listen-failed",
                    fmt::format("cannot listen on {} with TLS: no certificate was given; set "
                                "tls_certificate and tls_key",
                                spec.address));
    }
    listeners.push_back(std::make_unique<Listener>(spec));
}

void Server::Impl::start() {
    std::signal(SIGPIPE, SIG_IGN);  // NOLINT(cert-err33-c): cannot fail for SIGPIPE
    for (const auto& reactor : reactors) {
        reactor->start(fmt::format("reactor-{}", reactor->index()));
    }
    acceptor_->start("acceptor");
    running_ = true;
    acceptor_->run([this] {
        for (const auto& listener : listeners) {
            listener->start(
                *acceptor_, [this](Accepted&& accepted) { place(std::move(accepted)); },
                [this] { return bare_refusal(*acceptor_); });
        }
    });
}

// To the reactor with the fewest connections, of those that do not hang; on the acceptor's thread.
void Server::Impl::place(Accepted&& accepted) {
    environment_->connections_total.fetch_add(1, std::memory_order_relaxed);
    const std::size_t most = acceptor_->options().max_connections;
    const std::size_t open = load();
    if (open >= most + kTurningAway) {
        environment_->connections_refused.fetch_add(1, std::memory_order_relaxed);
        if (accepted.peer().tls) return;
        const std::string text = bare_refusal(*acceptor_);
        const Accepted leaving = std::move(accepted);
        (void)::send(leaving.fd(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        return;
    }
    SslPointer ssl;
    if (accepted.peer().tls) {
        ssl = tls.make();
        if (!ssl) return acceptor_->log(Level::error, "no TLS session could be made");
    }
    const auto rank = [](const auto& reactor) {
        return std::pair(reactor->lags(), reactor->load());
    };
    const std::shared_ptr<Reactor>& to =
        *std::min_element(reactors.begin(), reactors.end(),
                          [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
    to->add_load();
    const auto arrival =
        std::make_shared<Arrival>(to, std::move(accepted), std::move(ssl), open >= most);
    if (!to->mail(arrival, 0)) to->drop_load();
}

void Server::Impl::update(const Options& options) {
    on_each_reactor([this, options](std::size_t index) { reactors[index]->set_options(options); });
    on_each({acceptor_}, [this, options](std::size_t) { acceptor_->set_options(options); });
}

bool Server::Impl::on_each_reactor(std::function<void(std::size_t)> call) {
    return on_each(reactors, std::move(call));
}

bool Server::Impl::on_each(const Reactors& asked, std::function<void(std::size_t)> call) {
    if (!running_) {  // nobody else is there to disturb
        for (const auto& reactor : asked) call(reactor->index());
        return true;
    }
    // Who hangs already is not waited for anew.
    const bool lag = std::any_of(asked.begin(), asked.end(),
                                 [](const auto& reactor) { return reactor->lags(); });
    struct Round {
        std::function<void(std::size_t)> call;
        std::mutex mutex;
        std::condition_variable one_less;
        std::size_t left;  // guarded by mutex
    };
    const auto round = std::make_shared<Round>();
    round->call = std::move(call);
    round->left = asked.size();
    for (const auto& reactor : asked) {
        reactor->run([round, index = reactor->index()] {
            round->call(index);
            const std::lock_guard lock(round->mutex);
            --round->left;
            round->one_less.notify_all();
        });
    }
    std::unique_lock lock(round->mutex);
    const auto over = [&] { return round->left == 0; };
    if (round->one_less.wait_for(lock, lag ? kPatienceWithOneThatLags : kPatience, over))
        return true;
    acceptor_->log(Level::error, fmt::format("{} of {} reactors hang in a call of the application",
                                             round->left, asked.size()));
    return false;
}

void Server::Impl::call_round(const std::function<void(const std::string&, std::uint64_t)>& tell) {
    calls_.resize(reactors.size() + 1);
    for (std::size_t i = 0; i < calls_.size(); ++i) {
        const auto& reactor = i < reactors.size() ? reactors[i] : acceptor_;
        auto& [asked, came] = calls_[i];
        const std::uint64_t now = came->load(std::memory_order_relaxed);
        if (now == asked && reactor->run([came = came] { came->fetch_add(1); })) ++asked;
        tell(i < reactors.size() ? fmt::format("reactor-{}", i) : "acceptor", now);
    }
}

Stats Server::Impl::stats() const noexcept {
    Stats stats{};
    stats.connections_open = load();
    stats.connections_total = environment_->connections_total.load(std::memory_order_relaxed);
    stats.connections_refused = environment_->connections_refused.load(std::memory_order_relaxed);
    for (const auto& reactor : reactors) stats.requests_total += reactor->requests();
    return stats;
}

std::size_t Server::Impl::load() const noexcept {
    std::size_t sum = 0;
    for (const auto& reactor : reactors) sum += reactor->load();
    return sum;
}

void Server::Impl::stop_listening() {
    on_each({acceptor_}, [this](std::size_t) {
        for (const auto& listener : listeners) listener->stop();
    });
}

std::size_t Server::Impl::drain(Clock::time_point deadline) {
    if (!running_) return 0;
    environment_->draining.store(true, std::memory_order_relaxed);
    stop_listening();
    on_each_reactor([this](std::size_t index) { reactors[index]->begin_drain(); });
    {
        std::unique_lock lock(environment_->mutex);
        if (environment_->one_less.wait_until(lock, deadline, [this] { return load() == 0; })) {
            return 0;
        }
    }
    const auto cut = std::make_shared<std::atomic<std::size_t>>(0);
    on_each_reactor([this, cut](std::size_t index) {
        cut->fetch_add(reactors[index]->cut_all(), std::memory_order_relaxed);
    });
    return cut->load();
}

void Server::Impl::stop() {
    if (!running_) return;
    stop_listening();
    acceptor_->stop();
    for (const auto& reactor : reactors) reactor->stop();
    running_ = false;
}

Server::Server(Options options, Application& application, Post post, Logger logger)
    : impl_(std::make_unique<Impl>(options, application, std::move(post), std::move(logger))) {}

Server::~Server() { impl_->stop(); }

void Server::listen(const ListenerSpec& spec) { impl_->listen(spec); }

void Server::use_certificate(const std::string& chain_file, const std::string& key_file) {
    impl_->tls.use(chain_file, key_file);
}

std::vector<std::string> Server::addresses() const {
    std::vector<std::string> addresses;
    for (const auto& listener : impl_->listeners) addresses.push_back(listener->address());
    return addresses;
}

void Server::start() { impl_->start(); }
void Server::update(const Options& options) { impl_->update(options); }
bool Server::on_each_reactor(std::function<void(std::size_t)> call) {
    return impl_->on_each_reactor(std::move(call));
}
bool Server::visit_exchanges(std::function<bool(Exchange&)> look) {
    return impl_->on_each_reactor([impl = impl_.get(), look = std::move(look)](std::size_t index) {
        impl->reactors[index]->visit(look);
    });
}
std::size_t Server::reactors() const noexcept { return impl_->reactors.size(); }
void Server::call_round(const std::function<void(const std::string&, std::uint64_t)>& tell) {
    impl_->call_round(tell);
}
Stats Server::stats() const noexcept { return impl_->stats(); }
std::size_t Server::drain(Clock::time_point deadline) { return impl_->drain(deadline); }
void Server::stop() { impl_->stop(); }

}  // namespace larder::http
