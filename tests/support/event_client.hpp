// Reads a text/event-stream as a browser does (WHATWG HTML §9.2): events, and the last id. Asks by
// HTTP/1.0, so that no framing stands between.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <stdexcept>
#include <string>

#include "support/raw_client.hpp"

namespace larder::test {

struct StreamEvent {
    std::string type, data;
    std::string id;  // its own; empty where it has none
};

class EventClient {
public:
    // Throws std::runtime_error when the answer is no 200.
    EventClient(int port, const std::string& target, const std::string& headers = {})
        : client_(port) {
        client_.send(fmt::format("GET {} HTTP/1.0\r\nHost: localhost\r\n{}\r\n", target, headers));
        std::string line;
        if (!take_line(line) || line.find(" 200 ") == std::string::npos) {
            throw std::runtime_error("no stream but: " + line);
        }
        while (take_line(line) && !line.empty()) {
        }
    }

    // The next event, nothing at the end of the stream.
    std::optional<StreamEvent> next() {
        StreamEvent event;
        for (std::string line; take_line(line);) {
            if (line.empty()) {
                if (event.data.empty()) {
                    event = {};
                    continue;
                }
                return event;
            }
            if (line.starts_with(":")) ++comments_;
            if (line.starts_with("event: ")) event.type = line.substr(7);
            if (line.starts_with("data: ")) event.data += line.substr(6);
            if (line.starts_with("id: ")) last_id_ = event.id = line.substr(4);
            if (line.starts_with("id: ")) ++ids_;
        }
        return std::nullopt;
    }

    const std::string& last_id() const noexcept { return last_id_; }
    int comments() const noexcept { return comments_; }
    int ids() const noexcept { return ids_; }
    RawClient& raw() noexcept { return client_; }
    // Reads on until a line was seen that `wanted` accepts.
    template <class Wanted> bool read_until(Wanted wanted) {
        for (std::string line; take_line(line);) {
            if (line.starts_with("id: ")) last_id_ = line.substr(4);
            if (wanted(line)) return true;
        }
        return false;
    }

private:
    bool take_line(std::string& line) {
        std::size_t end = 0;
        while ((end = buffer_.find('\n')) == std::string::npos) {
            const std::string more = client_.read_some();
            if (more.empty()) return false;
            buffer_ += more;
        }
        line = buffer_.substr(0, end);
        if (line.ends_with('\r')) line.pop_back();
        buffer_.erase(0, end + 1);
        return true;
    }

    RawClient client_;
    std::string buffer_, last_id_;
    int comments_ = 0, ids_ = 0;
};

}  // namespace larder::test
