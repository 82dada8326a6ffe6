// A client that sends exactly the bytes a test names and reads answers strictly, so that both sides
// of a conversation can be hostile. Not a friendly HTTP library.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace larder::test {

struct Answer {
    int status = 0;
    std::string reason;
    std::map<std::string, std::string> headers;  // names in lower case; repeated ones by ", "
    std::string body;                            // de-chunked
    std::map<std::string, std::string> trailers;
    bool close = false;  // Connection: close

    std::string header(const std::string& name) const;  // empty where absent
    // The string member of a flat JSON body, such as a problem's "code"; empty where absent.
    std::string member(const std::string& name) const;
};

class RawClient {
public:
    explicit RawClient(int port, std::chrono::milliseconds patience = std::chrono::seconds(20));
    explicit RawClient(const std::string& unix_path);
    ~RawClient();
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    int fd() const noexcept { return fd_; }
    // False when the other side has closed. All of it, or as much as could be sent.
    bool send(std::string_view bytes);
    void half_close();  // no more from us
    void reset();       // RST instead of FIN

    // The next answer; throws std::runtime_error for a malformed or cut one, or after `patience`.
    // `to_head`: it answers a HEAD.
    Answer read_answer(bool to_head = false);
    // As read_answer(), but nothing when the connection closes before its first byte.
    std::optional<Answer> try_answer(bool to_head = false);
    std::string read_some();    // at least a byte; empty at the end
    std::string read_to_end();  // until the other side closes
    bool is_closed();           // the other side closes within `patience`, with nothing more

    // One request and its answer: METHOD target, further header lines, body with Content-Length.
    Answer request(std::string_view method, std::string_view target, std::string_view headers = {},
                   std::string_view body = {});

private:
    bool fill();
    std::string take_line();
    std::string take(std::size_t count);
    void take_chunks(Answer& answer);
    void take_headers(std::map<std::string, std::string>& into);

    int fd_ = -1;
    std::string buffer_;
};

// A request on a connection of its own.
Answer request(int port, std::string_view method, std::string_view target,
               std::string_view headers = {}, std::string_view body = {});

}  // namespace larder::test
