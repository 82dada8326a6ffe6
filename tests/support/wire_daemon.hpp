// Puts requests to a real larderd byte by byte and judges what becomes of them, of the connection,
// and of everybody else. Not a client of the daemon's features.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "support/daemon_process.hpp"
#include "support/raw_client.hpp"

namespace larder::test {

// What must become of the connection.
enum class After { closes = 1, keeps };

// One request as bytes, and the answer that is due.
struct Case {
    std::string name;
    std::string bytes;
    int status;
    std::string code;  // of the problem; empty for a success
    After after = After::closes;
};

// A larderd that all tests of a file share.
class WireDaemon {
public:
    explicit WireDaemon(std::vector<std::pair<std::string, std::string>> environment);

    int port() const { return daemon_->port(); }
    DaemonProcess& process() { return *daemon_; }

    // What is wrong with the outcome of one case, in words; empty when nothing is. Afterwards a
    // good GET on a connection of its own must succeed, and no smuggled key may be there.
    std::string fault_of(const Case& given) const;
    // Runs a table; fails once, with all that is wrong.
    void expect(const std::vector<Case>& table) const;
    // That a good GET on a new connection succeeds and nothing was smuggled in; else in words.
    std::string fault_of_service() const;
    // A sample of GET /metrics by its name without labels; throws when there is none.
    double metric(const std::string& name) const;
    // Ends it and says what is wrong with how it ended: its exit code, a sanitizer's report.
    std::string fault_of_end();

private:
    TemporaryFolder folder_;
    std::unique_ptr<DaemonProcess> daemon_;
};

// "METHOD target HTTP/1.1", Host, the further fields (each with its CR LF), an empty line, body.
std::string text_of(const std::string& method, const std::string& target,
                    const std::string& fields = {}, const std::string& body = {});

// The request that must never be carried out: it stands in bodies.
inline const std::string kSmuggled =
    "PUT /api/kv/storage/smuggled HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1";

}  // namespace larder::test
