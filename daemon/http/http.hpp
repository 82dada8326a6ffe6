// The HTTP front as the rest of the daemon sees it: sockets on one side, an Application on the
// other. It knows framing (RFC 9112), limits and time-outs; no word of routing or plugins.
//
//   socket → Connection → Application::begin (head) → [body] → Application::run → Exchange::answer
//
// One reactor a core; a connection never changes its thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "larder/host.hpp"
#include "larder/http.hpp"

namespace larder::http {

// ASCII letters alone, as HTTP's names and tokens have it. [any]
bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept;

struct Field {
    std::string_view name, value;  // as sent; value without surrounding white space
};

// What was read before the body. Views into the connection's buffer.
struct Head {
    std::string_view method;     // "GET"
    std::string_view target;     // path and query as sent; absolute form is cut down to them
    std::string_view authority;  // Host, or what an absolute-form target names
    unsigned version = 11;       // 10 or 11
    std::vector<Field> fields;
    std::optional<std::uint64_t> content_length;
    bool chunked = false;
    bool expects_continue = false;

    std::optional<std::string_view> field(std::string_view name) const noexcept;  // the first
};

// Who is at the other end.
struct Peer {
    std::string address;  // "127.0.0.1", "::1", "unix:uid=0"
    std::uint16_t port = 0;
    bool local = false;  // Unix socket: uid and pid are the kernel's word (SO_PEERCRED)
    std::uint32_t uid = 0;
    std::int32_t pid = 0;
    bool tls = false;
};

// One request under way. The views of head() and body() hold until the request is answered, and as
// long as somebody holds the shared_ptr even when the client has gone. The connection keeps it
// until then; one that nobody answers stays open until its client leaves or the server drains.
class Exchange {
public:
    virtual const Head& head() const noexcept = 0;
    virtual std::string_view body() const noexcept = 0;  // whole, for BodyPlan::buffer
    virtual std::string_view id() const noexcept = 0;    // X-Request-Id, taken or made
    virtual const Peer& peer() const noexcept = 0;
    virtual std::size_t reactor() const noexcept = 0;  // index of the thread this lives on
    virtual std::chrono::steady_clock::time_point began() const noexcept = 0;
    // Set when the connection is reset or cut. A client that only ends its sending (FIN) still
    // waits for its answer and cancels nothing. Made on first call. [any]
    virtual std::shared_ptr<Cancel> cancel() = 0;

    // The answer; exactly one of these two, once: a second one is dropped and logged. [any]
    //
    // On the exchange's own reactor it leaves at once, so Response::sent and Application::ended may
    // be called before this returns; from elsewhere it goes by mail. When the client has left,
    // `sent` is told (0, false); after Server::stop() the answer is dropped without a call. An
    // answer with a header that would split it, or one of the front's own (Content-Length,
    // Transfer-Encoding, Connection, Date, X-Request-Id, Keep-Alive, Upgrade), is replaced by a 500
    // and logged.
    virtual void answer(Response&& response) noexcept = 0;
    // A text/event-stream; its end is the connection's. For HEAD the head alone goes out and the
    // stream is closed from the start.
    virtual std::shared_ptr<EventStream> stream(StreamHead&& head) noexcept = 0;

    // A BodySink that returned false wants bytes again. [any]
    virtual void resume_body() noexcept = 0;
    // After BodyPlan::later: begin() is called anew, unless the client has left. [any]
    virtual void begin_again() noexcept = 0;

    // Free for the application, for the time of one exchange: let go after ended(), or, when the
    // client left first, after the late answer. What holds the exchange has no place here. [io]
    std::shared_ptr<void> attachment;

protected:
    ~Exchange() = default;
};

// Takes a body as it arrives. Calls come in order, on the exchange's reactor, none after end/abort.
// [io]
class BodySink {
public:
    // At most 256 KiB a call. False: full; nothing more comes, not even end(), until
    // Exchange::resume_body().
    virtual bool take(std::string&& bytes) = 0;
    virtual void end(Headers&& trailers) = 0;  // the body was whole
    // It was cut, malformed, late or too large, which the front answers itself, or the request was
    // answered before its end. What the application answers still is passed over.
    virtual void abort() noexcept = 0;
    virtual ~BodySink() = default;
};

// What to do with a request's body, decided on its head.
struct BodyPlan {
    enum class Kind : std::uint8_t {
        // answer() was called already: the body is passed over or the connection closed
        answered = 1,
        // collect up to `limit` bytes (else 413), then Application::run
        buffer,
        // hand it to `sink` (beyond `limit`: abort and 413); end() comes for an empty body, too;
        // 100-continue goes out when the sink is first ready; run() is not called
        stream,
        // not decided yet: nothing is read, until Exchange::begin_again() has begin() asked anew
        later,
    };
    Kind kind;
    std::uint64_t limit = 0;
    std::shared_ptr<BodySink> sink;
    bool sink_ready = true;  // false: no 100-continue and no reading before resume_body()
};

// How an exchange ended; for the access log and the counters. Once for each request that was
// answered or whose client left, the front's own refusals included.
struct Ended {
    const Exchange* exchange;  // null where no head could be read; head() still holds
    std::size_t reactor;
    const Peer* peer;
    int status;                         // as sent; 0 when nothing was
    std::uint64_t bytes_in, bytes_out;  // bodies
    std::chrono::nanoseconds duration;
    bool whole;  // all of the answer left
};

// Served by the front. All on the connection's reactor. [io]
class Application {
public:
    virtual BodyPlan begin(const std::shared_ptr<Exchange>& exchange) = 0;
    virtual void run(const std::shared_ptr<Exchange>& exchange) = 0;
    virtual void ended(const Ended& ended) noexcept = 0;

protected:
    ~Application() = default;
};

// What a listener is bound to: "127.0.0.1:8080", "[::1]:0", "localhost:80", "unix:/run/x.sock".
struct ListenerSpec {
    std::string address;
    int inherited_fd = -1;  // from the service manager: already listening; address may be empty
    bool tls = false;       // TCP only
};

// Limits and time-outs; those of the contract by default. All but `reactors` may change while
// serving.
struct Options {
    std::size_t reactors = 0;  // 0: one a core
    std::size_t max_connections = 20000;
    std::size_t max_head = 32U << 10U;              // header section, else 431
    std::size_t max_target = 8U << 10U;             // else 414
    std::chrono::milliseconds head_timeout{30000};  // from a head's first byte, else 408
    std::chrono::milliseconds body_timeout{
        60000};  // between body bytes, either way, else 408 or a cut
    std::chrono::milliseconds idle_timeout{75000};  // between requests: closed silently
};

struct Stats {
    std::uint64_t connections_open, connections_total, connections_refused;
    std::uint64_t requests_total;
};

class Server {
public:
    using Logger = std::function<void(Level, std::string_view)>;
    using Post = std::function<bool(Task)>;  // runs a task on a worker; false: full. For generators

    Server(Options options, Application& application, Post post, Logger logger);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // Binds and listens; throws Error{unavailable} with the address and the system's reason. Before
    // start(). [control]
    void listen(const ListenerSpec& spec);
    // Certificate chain and key, PEM. Throws Error; the old ones stay in force then. [control]
    void use_certificate(const std::string& chain_file, const std::string& key_file);
    // Where it listens, with chosen ports: "http://127.0.0.1:41234", "https://…", "unix:/run/…".
    std::vector<std::string> addresses() const;

    void start();                         // starts the reactors [control]
    void update(const Options& options);  // [control]
    // Runs on every reactor thread with its index; returns when all have run it. While none runs
    // (before start, after stop) the caller runs it itself. False when a reactor had not come to it
    // after 10 s: an application's call hangs there, and `call` may run yet. [control, worker]
    bool on_each_reactor(std::function<void(std::size_t)> call);
    // Has every exchange under way looked at, on its reactor. `look` may answer it; where it
    // returns true, what is then left of it is cut, as if the client had gone. [control, worker]
    bool visit_exchanges(std::function<bool(Exchange&)> look);
    std::size_t reactors() const noexcept;
    // Asks each of its threads to come by, unless it was asked and has not yet, and tells how often
    // each did. One caller at a time. [any]
    void call_round(const std::function<void(const std::string& thread, std::uint64_t came)>& tell);
    Stats stats() const noexcept;  // [any]

    // Stops accepting, closes idle connections, lets those under way finish (their answers say
    // `Connection: close`), at most until `deadline`; then cuts the rest. Returns how many were
    // cut.
    std::size_t drain(std::chrono::steady_clock::time_point deadline);
    // After drain: cuts what is left, ends the threads. Answers that come later from elsewhere are
    // harmless, also when the server is gone. [control]
    void stop();

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace larder::http
