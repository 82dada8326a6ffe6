// Two workers are enough to show what generators need of a pool.
#include "support/toy_server.hpp"

#include <utility>

namespace larder::test {

ToyServer::ToyServer(http::Options options)
    : server_(
          options, *this, [this](Task task) { return post(std::move(task)); },
          [this](Level, std::string_view line) {
              const std::lock_guard lock(mutex_);
              log_.emplace_back(line);
          }) {
    for (int i = 0; i < 2; ++i) workers_.emplace_back([this] { work(); });
}

ToyServer::~ToyServer() {
    server_.stop();
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
}

void ToyServer::start(const std::string& address, bool tls) {
    server_.listen({address, -1, tls});
    server_.start();
}

Response ToyServer::text(int status, std::string body) {
    Response response;
    response.status = status;
    response.headers.emplace_back("Content-Type", "text/plain");
    response.body = std::move(body);
    return response;
}

http::BodyPlan ToyServer::begin(const Held& exchange) {
    return on_begin ? on_begin(exchange) : buffered(1U << 20U);
}

void ToyServer::run(const Held& exchange) {
    if (on_run) return on_run(exchange);
    std::string body(exchange->head().method);
    body += ' ';
    body += exchange->head().target;
    body += '\n';
    body += exchange->body();
    exchange->answer(text(200, std::move(body)));
}

void ToyServer::ended(const http::Ended& ended) noexcept {
    if (on_ended) on_ended(ended);
    EndRecord record{{}, ended.status, ended.bytes_in, ended.bytes_out, ended.whole};
    if (ended.exchange != nullptr) record.target = ended.exchange->head().target;
    const std::lock_guard lock(mutex_);
    ended_.push_back(std::move(record));
}

std::vector<EndRecord> ToyServer::ended() const {
    const std::lock_guard lock(mutex_);
    return ended_;
}

std::vector<std::string> ToyServer::log() const {
    const std::lock_guard lock(mutex_);
    return log_;
}

bool ToyServer::logged(std::string_view part) const {
    for (const std::string& line : log()) {
        if (line.find(part) != std::string::npos) return true;
    }
    return false;
}

void ToyServer::on_worker(std::function<void()> work) {
    {
        const std::lock_guard lock(mutex_);
        tasks_.emplace_back(std::move(work));
    }
    wake_.notify_one();
}

bool ToyServer::post(Task task) {
    if (!may_post()) return false;
    {
        const std::lock_guard lock(mutex_);
        tasks_.push_back(std::move(task));
    }
    wake_.notify_one();
    return true;
}

void ToyServer::work() {
    std::unique_lock lock(mutex_);
    for (;;) {
        wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
        if (tasks_.empty()) return;
        Task task = std::move(tasks_.front());
        tasks_.pop_front();
        lock.unlock();
        task();
        task = Task();
        lock.lock();
    }
}

}  // namespace larder::test
