#include "support/wire_daemon.hpp"

#include <cppunit/TestAssert.h>
#include <fmt/format.h>

#include <stdexcept>

#include "support/problem.hpp"

namespace larder::test {
namespace {

std::string fault_of_answer(const Case& given, const Answer& answer) {
    if (answer.status != given.status) {
        return fmt::format("expected {}, got {}: {}", given.status, answer.status, answer.body);
    }
    if (answer.header("X-Request-Id").empty()) return "the answer has no X-Request-Id";
    if (answer.header("Date").empty()) return "the answer has no Date";
    if (answer.close != (given.after == After::closes)) {
        return fmt::format("its Connection is '{}'", answer.header("Connection"));
    }
    if (given.status < 400 || given.bytes.starts_with("HEAD ")) return {};
    if (answer.member("code") != given.code) {
        return fmt::format("expected the code {}, got {}", given.code, answer.body);
    }
    const std::string fault = fault_of_problem(answer);
    return fault.empty() ? "" : fmt::format("as a problem {}: {}", fault, answer.body);
}

}  // namespace

std::string text_of(const std::string& method, const std::string& target, const std::string& fields,
                    const std::string& body) {
    return fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\n{}\r\n{}", method, target, fields,
                       body);
}

WireDaemon::WireDaemon(std::vector<std::pair<std::string, std::string>> environment)
    : daemon_(std::make_unique<DaemonProcess>(
          DaemonOptions{folder_.path(), {}, std::move(environment), {}, true, true, {}})) {}

std::string WireDaemon::fault_of(const Case& given) const {
    try {
        RawClient client(port());
        if (!client.send(given.bytes)) return "the request could not be sent";
        const Answer answer = client.read_answer(given.bytes.starts_with("HEAD "));
        std::string fault = fault_of_answer(given, answer);
        if (!fault.empty()) return fault;
        if (given.after == After::closes) {
            if (!client.is_closed()) return "the connection was not closed after the answer";
        } else if (client.request("GET", "/healthz").status != 200) {
            return "the connection did not take the next request";
        }
        return fault_of_service();
    } catch (const std::runtime_error& error) {
        return fmt::format("{}; then {}", error.what(), fault_of_service());
    }
}

std::string WireDaemon::fault_of_service() const {
    try {
        const Answer alive = request(port(), "GET", "/healthz");
        if (alive.status != 200) return fmt::format("a good GET gets {} now", alive.status);
        const Answer smuggled = request(port(), "GET", "/api/kv/storage/smuggled");
        if (smuggled.status == 200) return "a body was carried out as a request";
        return {};
    } catch (const std::runtime_error& error) {
        return fmt::format("a good GET failed: {}", error.what());
    }
}

void WireDaemon::expect(const std::vector<Case>& table) const {
    std::string faults;
    for (const Case& given : table) {
        const std::string fault = fault_of(given);
        if (!fault.empty()) faults += fmt::format("\n  {}: {}", given.name, fault);
    }
    CPPUNIT_ASSERT_MESSAGE(faults, faults.empty());
}

double WireDaemon::metric(const std::string& name) const {
    const std::string page = "\n" + request(port(), "GET", "/metrics").body;
    const std::size_t at = page.find(fmt::format("\n{} ", name));
    if (at == std::string::npos) throw std::runtime_error("no metric " + name);
    return std::stod(page.substr(at + name.size() + 2));
}

std::string WireDaemon::fault_of_end() {
    const int code = daemon_->stop();
    const std::string log = daemon_->log();
    for (const char* mark :
         {"Sanitizer", "runtime error", "threw", "still under way", "second answer"}) {
        const std::size_t at = log.find(mark);
        if (at != std::string::npos) return log.substr(log.rfind('\n', at) + 1, 4000);
    }
    return code == 0 ? "" : fmt::format("it ended with {}:\n{}", code, log);
}

}  // namespace larder::test
