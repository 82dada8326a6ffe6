// A request and its answer as a plugin sees them, and the routes that bring one to the other (RFC
// 9110). Not the wire: framing, keep-alive and time-outs are the host's business.
//
// Contents: Method, Permission · Cancel · Request · bodies · Response · EventStream · Reply · Task
// · Upload · handlers · Route, Routes. Threads: [io] an I/O thread, must not block; [worker] may
// block; [control] the plugin's own control thread; [any].
#pragma once

#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "larder/error.hpp"

namespace larder {

enum class Method : std::uint8_t { get = 1, head, put, post, patch, del, options };

// What a caller must be allowed to do. `open` asks for no credentials at all.
enum class Permission : std::uint8_t { open = 1, read, write, execute, admin };

// Name and value; the host refuses CR, LF and NUL in either, so that nothing splits an answer.
using Headers = std::vector<std::pair<std::string, std::string>>;

// Set when the client has left or is cut, as it is when the plugin's time to drain is over.
class Cancel {
public:
    virtual bool cancelled() const noexcept = 0;  // [any]
    virtual void cancel() noexcept = 0;           // [any]
    virtual ~Cancel() = default;
};

// Valid until the handler returns. A prompt handler copies what its later answer needs.
class Request {
public:
    virtual Method method() const noexcept = 0;            // as sent: a HEAD comes to GET's handler
    virtual std::string_view target() const noexcept = 0;  // path and query as sent
    // The value of `{name}` in the route's pattern, percent-decoded once; empty if there is none.
    virtual std::string_view param(std::string_view name) const = 0;
    // The first value of a query parameter, decoded ('+' is a space).
    virtual std::optional<std::string_view> query(std::string_view name) const = 0;
    virtual std::vector<std::string_view> queries(std::string_view name) const = 0;
    // A header's value as sent, by case-insensitive name; repeated ones joined by ", ".
    virtual std::optional<std::string_view> header(std::string_view name) const = 0;
    virtual std::optional<std::uint64_t> content_length() const noexcept = 0;
    virtual std::string_view body() const = 0;                // whole; empty for uploads
    virtual std::string_view principal() const noexcept = 0;  // who asks; empty where auth is off
    // Whether the caller may also do this, for resources named in a body ("kv/settings/a").
    virtual bool may(Permission permission, std::string_view resource) const = 0;
    virtual std::string_view peer_address() const noexcept = 0;  // "127.0.0.1", "unix:uid=0"
    virtual std::string_view id() const noexcept = 0;            // X-Request-Id
    virtual std::shared_ptr<Cancel> cancel() const = 0;

protected:
    ~Request() = default;
};

// ---- bodies of answers

// Bytes that somebody else keeps: sent without a copy, `owner` is let go when they are out.
struct SharedBytes {
    std::shared_ptr<const void> owner;
    std::string_view bytes;
};

// Owns a descriptor. A file is handed over opened, so that the bytes sent are the bytes checked.
class FileHandle {
public:
    explicit FileHandle(int fd) noexcept : fd_(fd) {}
    FileHandle(const FileHandle&) = delete;
    FileHandle& operator=(const FileHandle&) = delete;
    ~FileHandle() {
        if (fd_ >= 0) ::close(fd_);
    }
    int fd() const noexcept { return fd_; }

private:
    int fd_;
};

// Part of a file, in bytes; sent by sendfile(2) off TLS. If the file turns out shorter, the
// connection is cut.
struct FileRegion {
    std::shared_ptr<FileHandle> file;
    std::uint64_t offset = 0, length = 0;
};

// Text and file parts in turn: multipart/byteranges without copying.
using Segments = std::vector<std::variant<std::string, FileRegion>>;

// Fills `chunk` each time the socket wants more; returns false when that was the last. If it
// throws, the connection is cut, so that nobody takes a torn body for a whole one. A slow client
// holds no worker. [worker]
using Generator = std::function<bool(std::string& chunk)>;

struct Response {
    int status = 200;
    Headers headers;  // without Content-Length, Connection, Date, X-Request-Id: the host's
    std::variant<std::monostate, std::string, SharedBytes, FileRegion, Segments, Generator> body;
    // Called once when the answer is over: body bytes that left, and whether all did. [io]
    std::function<void(std::uint64_t bytes, bool whole)> sent;
};

// A text/event-stream under way; costs no thread; blocks are shared between watchers.
class EventStream {
public:
    enum class Sent : std::uint8_t { taken = 1, full, closed };
    // Queues a block (one or more whole events). `full`: not taken, StreamHead::writable follows.
    virtual Sent send(std::shared_ptr<const std::string> block) noexcept = 0;  // [any]
    virtual void close() noexcept = 0;  // ends it when what was taken is out [any]
    virtual ~EventStream() = default;
};

struct StreamHead {
    Headers headers;
    // Never from inside send(), never once stop() is called. [io]
    std::function<void()> writable, closed;
};

// The host's side of a Reply; plugins use Reply.
class PendingReply {
public:
    virtual void send(Response&& response) noexcept = 0;
    virtual void fail(const Error& error) noexcept = 0;
    virtual std::shared_ptr<EventStream> stream(StreamHead head) noexcept = 0;
    virtual void drop() noexcept = 0;

protected:
    ~PendingReply() = default;
};

// The right to answer one request: move-only, used once, from any thread. Dropped unused it is a
// 500 and a line in the log. After the plugin's drain it is inert: harmless, without effect.
class Reply {
public:
    explicit Reply(PendingReply* pending) noexcept : pending_(pending) {}
    Reply(Reply&& other) noexcept : pending_(std::exchange(other.pending_, nullptr)) {}
    Reply& operator=(Reply&& other) noexcept {
        std::swap(pending_, other.pending_);
        return *this;
    }
    ~Reply() {
        if (pending_ != nullptr) pending_->drop();
    }
    void send(Response response) && { std::exchange(pending_, nullptr)->send(std::move(response)); }
    void fail(const Error& error) && { std::exchange(pending_, nullptr)->fail(error); }
    std::shared_ptr<EventStream> stream(StreamHead head) && {
        return std::exchange(pending_, nullptr)->stream(std::move(head));
    }

private:
    PendingReply* pending_;
};

// A move-only callable: a Reply can be captured in it, which std::function refuses.
class Task {
public:
    Task() = default;
    template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, Task>)
        Task(F body)  // NOLINT(google-explicit-constructor): a lambda is a task
        : body_(std::make_unique<Body<F>>(std::move(body))) {}
    void operator()() { body_->run(); }
    explicit operator bool() const noexcept { return body_ != nullptr; }

private:
    struct Base {
        virtual void run() = 0;
        virtual ~Base() = default;
    };
    template <class F> struct Body final : Base {
        F f;
        explicit Body(F g) : f(std::move(g)) {}
        void run() override { f(); }
    };
    std::unique_ptr<Base> body_;
};

// A body that is pushed to the plugin as it arrives. A worker is held only while there are bytes at
// hand, so slow senders block nobody, and the socket is not read while take() is behind.
class Upload {
public:
    virtual void take(std::span<const std::byte> bytes) = 0;  // one call at a time [worker]
    virtual Response finish(const Headers& trailers) = 0;     // the body was whole [worker]
    virtual void abort() noexcept = 0;  // it was not: leave nothing behind [worker]
    virtual ~Upload() = default;
};

// ---- handlers: three kinds, because there are three kinds of work. Each may throw Error.

// In memory, or answers later. [io]
using PromptHandler = std::function<void(const Request&, Reply)>;
// Files, databases: anything that may wait. [worker]
using BlockingHandler = std::function<Response(const Request&)>;
// May refuse by throwing; 100-continue is sent after it returns. [worker]
using UploadHandler =
    std::function<std::unique_ptr<Upload>(const Request&, std::shared_ptr<Cancel>)>;

// A route, declared: matching, access, OpenAPI text and metric labels all come from here.
// The views must outlive the plugin; string literals do. Best written with the names of its
// members: what a route does not need is then left out.
struct Route {
    Method method;
    std::string_view pattern;  // "/api/kv/{bucket}/{key...}"; a static tail may follow the rest
    Permission permission;     // no default: forgetting it does not compile
    std::string_view summary;  // one line
    // "prefix,limit,cursor,where+,tag.*": any other parameter is 400, and so is a second of a name
    // without a '+' behind it, but for those of a family.
    std::string_view queries = {};
    std::string_view media_types = {};   // "application/json"; empty: the route takes no body type
    std::string_view schema = {};        // JSON Schema text of the body, or empty
    std::uint64_t max_body = 1U << 20U;  // bytes
    // Request headers of RFC 9110 §13.1 this route obeys: "if-match,if-none-match". Any other
    // conditional header on a changing route is 400 condition-not-supported, never passed over.
    std::string_view conditions = {};

    // What follows judges no request: GET /openapi.json tells it, and the tests hold every answer
    // against it. Entries of a list end in ';', so no text holds one. A list that cannot be read
    // refuses the plugin at its start.

    // "prefix: keys that begin with it; limit integer: …; Larder-Metadata: …". The word behind the
    // name is its JSON type, text if there is none. A name that stands neither in `pattern` nor in
    // `queries` is a request header.
    std::string_view parameters = {};
    std::string_view answers = {};         // "200 application/json; 204"; empty: the former alone
    std::string_view answer_schema = {};   // JSON Schema text of the JSON among them, or empty
    std::string_view answer_headers = {};  // "ETag: the revision; …". ETag: a GET may answer 304
    // "404 key-not-found: the bucket has no such key; 412 too-late", beyond those that the host
    // knows by the members above.
    std::string_view problems = {};
};

// Open only during start(). What was added is withdrawn as one when the plugin stops.
class Routes {
public:
    virtual void prompt(Route route, PromptHandler handler) = 0;
    virtual void blocking(Route route, BlockingHandler handler) = 0;
    virtual void upload(Route route, UploadHandler handler) = 0;

protected:
    ~Routes() = default;
};

}  // namespace larder
