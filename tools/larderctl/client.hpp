// Requests to a running larderd, over its Unix socket or plain HTTP on loopback. It knows no route
// and prints nothing.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <iosfwd>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <Poco/JSON/Object.h>

namespace larder::ctl {

// Where the daemon is.
struct Target {
    std::string socket;  // a path; empty: TCP
    std::string host;    // "127.0.0.1"
    std::uint16_t port = 0;
    std::vector<std::string> looked_at;  // sockets that were not there, when none was named

    std::string name() const;  // for messages
};

// Of --url; throws std::invalid_argument saying what was expected.
Target target_of_url(const std::string& url);
// $RUNTIME_DIRECTORY/larder.sock, /run/larder/larder.sock, ./data/larder.sock: the first that is
// there.
Target default_target();

// Nobody answers there, or the answer was cut.
class Unreachable : public std::exception {
public:
    explicit Unreachable(std::string message) : message_(std::move(message)) {}
    const char* what() const noexcept override { return message_.c_str(); }

private:
    std::string message_;
};

struct Answer {
    int status = 0;
    std::string body;
    std::map<std::string, std::string> headers;  // by lower-case name

    bool is_good() const noexcept { return status >= 200 && status < 300; }
    std::string header(const std::string& name) const;
};

// The answer's body as a JSON object; throws Unreachable for anything else.
Poco::JSON::Object::Ptr object_of(const Answer& answer);

// The daemon said no: a problem document in words.
class Refused : public std::exception {
public:
    explicit Refused(const Answer& answer);
    const char* what() const noexcept override { return message_.c_str(); }
    int status() const noexcept { return status_; }
    const std::string& code() const noexcept { return code_; }
    const std::string& body() const noexcept { return body_; }

private:
    int status_;
    std::string code_, message_, body_;
};

using Fields = std::vector<std::pair<std::string, std::string>>;

// One connection a request. Throws Unreachable. [one thread]
class Client {
public:
    explicit Client(Target target) : target_(std::move(target)) {}

    // `target` is path and query, escaped already.
    Answer ask(const std::string& method, const std::string& target, std::string_view body = {},
               const Fields& fields = {}) const;
    // As ask(), but throws Refused unless the status is 2xx.
    Answer demand(const std::string& method, const std::string& target, std::string_view body = {},
                  const Fields& fields = {}) const;
    // demand() with a body of `size` bytes that comes from `bytes` as it is sent; `sent` is told of
    // bytes gone so far. Throws std::runtime_error where `bytes` ends before.
    Answer upload(const std::string& method, const std::string& target, std::istream& bytes,
                  std::uint64_t size, const Fields& fields,
                  const std::function<void(std::string_view)>& sent) const;
    // demand(), read as a JSON object.
    Poco::JSON::Object::Ptr object(const std::string& method, const std::string& target) const;
    // Every item of a list, over all its pages; `target` has no query, or one that ends in '&'.
    std::vector<Poco::JSON::Object::Ptr> items(const std::string& target) const;

    // A 2xx body as it comes, at most 64 KiB at a time; any other answer throws Refused. `take`
    // returns false to end it. Throws Unreachable where the body ends before `silence` seconds pass
    // without a byte. Whether a chunked body was whole, the caller must see by itself: the library
    // does not tell.
    void stream(const std::string& target, const Fields& fields, int silence,
                const std::function<bool(std::string_view)>& take) const;

private:
    Target target_;
};

std::string escaped(std::string_view segment);  // for a path segment or a query's value

}  // namespace larder::ctl
